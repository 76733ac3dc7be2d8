-- Random streams and the system functions as Lua sees them; the draws
-- themselves are proved in tests/rng.c.

local fv = require "fovea"
local tap = require "tap"

local function stream() return fv.rng(3):stream("x") end

-- streams -----------------------------------------------------------------------

local s = stream()
tap.is(tostring(s), 'stream: seed 3, purpose "x", position 0', "a stream tells what it is")
tap.is(tostring(s:stream("y")), 'stream: seed 3, purpose "x/y", position 0', "so does a substream")
tap.is(tostring(fv.rng(-1)), "rng: seed -1", "and an rng")
local a, b = s:normal(6, 5), stream():normal(6, 5)
tap.near(a, b, 0, "the same seed and purpose, the same draws")
tap.is(s:position(), 8, "30 f32 draws take 8 positions")
local c = s:normal({ 6, 5 }, { dtype = "f64" })
tap.is(c:dtype(), "f64", "sizes may come as a table, dtype as an option")
tap.is(s:position(8), 23, "30 f64 draws take 15")
tap.near(s:normal(6, 5, { dtype = "f64" }), c, 0, "a position that is set back gives the draws again")
tap.near(fv.randn(6, 5, { rng = stream() }), a, 0, "fv.randn draws what s:normal draws")

local r = fv.rng(9)
local first, second = fv.randn(4, { rng = r }), fv.randn(4, { rng = r })
tap.ok((first - second):abs():min():item() > 0, "an rng as rng= advances from call to call")
tap.near(first, fv.rng(9):stream("default"):normal(4), 0, "and is its stream 'default'")

local u = fv.uniform(1000, { rng = s, lo = -2, hi = 6 })
tap.ok(u:min():item() >= -2 and u:max():item() <= 6, "uniform keeps between lo and hi")
tap.close(u:mean():item(), 2, 4 * 8 / math.sqrt(12 * 1000) / 2, "and has their mean, within 4 s.e.")
tap.ok(s:uniform(8, { lo = -1e308, hi = 1e308, dtype = "f64" }):abs():max():item() <= 1e308,
       "a width beyond the largest number is no overflow")
for _, x in ipairs { s:number(), s:uniform() } do tap.ok(x > 0 and x < 1, "a number on (0,1)") end
tap.is(math.type(s:normal()), "float", "without sizes normal gives a number")
tap.is(math.type(s:integers(1, 6)), "integer", "without sizes integers gives an integer")
local die = s:integers(1, 6, 100, 2)
tap.is(die:dtype() .. table.concat({ die:shape() }, ","), "i64" .. "100,2", "with sizes an i64 tensor")
tap.is(die:min():item() .. ".." .. die:max():item(), "1..6", "of lo to hi, both included")
local order = s:permutation(50):totable()
table.sort(order)
tap.is(order[1] .. ".." .. order[50] .. " " .. #order, "1..50 50", "a permutation of 1 .. n")
tap.is(s:permutation(0):numel() + s:normal(0, 3):numel(), 0, "nothing may be asked for")

-- errors ------------------------------------------------------------------------

tap.raises("randn: option 'rng': expected a stream, got nil %(there is no global generator: "
           .. "write {rng = fv.rng%(1%):stream%(\"x\"%)}%)", "no rng, and how to write one",
           function() local x = fv.randn(2, 2); return x end)
tap.raises("got number", "a seed is no stream", fv.randn, 2, { rng = 1 })
tap.raises("unknown option 'rgn' %(did you mean 'rng'", "a misspelt option", fv.randn, 2, { rgn = s })
tap.raises("'lo'", "an end that is no number", fv.uniform, 2, { rng = s, lo = "a" })
tap.raises("'hi'", "an infinite end", fv.uniform, 2, { rng = s, hi = math.huge })
tap.raises("lo must be less than hi", "ends in the wrong order", fv.uniform, 2, { rng = s, lo = 1, hi = 1 })
tap.raises("dtype", "no normals in i64", fv.randn, 2, { rng = s, dtype = "i64" })
tap.raises("hi must be at least lo = 3", "an empty range", s.integers, s, 3, 2)
tap.raises("negative", "a negative order", s.permutation, s, -1)
tap.raises("stream", "a method on something else", s.normal, fv.rng(1), 3)
tap.raises("zero byte", "a purpose with a zero byte", r.stream, r, "a\0b")
tap.raises("integer", "a seed is an integer", fv.rng, 1.5)
tap.raises("", "an order too long for memory", s.permutation, s, 1 << 58)
tap.raises("", "a tensor too long for memory", s.normal, s, 1 << 50, 1 << 50)

-- system ------------------------------------------------------------------------

local t = fv.clock()
for _ = 1, 1000 do s:number() end
tap.ok(fv.clock() >= t and fv.clock() - t < 60, "the clock goes forward, in seconds")
local threads = fv.threads(2)
tap.is(fv.threads(threads), 2, "threads returns the old number and sets a new one")
tap.raises("expected 1 to 256", "no threads is too few", fv.threads, 0)
local info = fv.info()
tap.is(fv.isa("base"), info.isa, "isa returns the level in use")
tap.near(stream():normal(100), fv.isa(info.isa) and stream():normal(100), 0, "draws do not depend on it")
tap.raises("expected base to", "a level that does not exist", fv.isa, "v9")
for _, field in ipairs { "version", "lua", "cpu", "isa", "isa_max", "threads", "huge_pages", "blas", "blas_config" } do
  tap.ok(info[field], "info has " .. field)
  tap.ok(tostring(info):find(field .. " +" .. tostring(info[field]):gsub("%p", "%%%0")), "and prints it")
end

tap.done()
