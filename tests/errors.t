-- What goes wrong is told: the argument or option, what was expected, what came.
local fv = require "fovea"
local tap = require "tap"

local raises = tap.raises
local x = fv.ones(4, 8)

-- elements
raises("tensor: element: i64: expected a whole number, got 1.5", "a fraction in i64",
       fv.tensor, { 1.5 }, { dtype = "i64" })
raises("tensor: element: u8: expected 0 to 255, got 300", "too much for u8",
       fv.tensor, { 300 }, { dtype = "u8" })
raises("tensor: element: expected a number, got string", "a word", fv.tensor, { 1, "a" })
raises("#3 to 'set' %(expected a number, got string%)", "set",
       function() fv.zeros(1, 1):set(1, 1, "a") end)
tap.is(fv.tensor({ true, false }, { dtype = "u8" }):sum():item(), 1, "truth values fill masks")
tap.is(tostring(fv.tensor { 0 / 0, -(0 / 0) }), "tensor f32 (2)\n[nan, nan]", "NaN is shown without its sign")
tap.is(tostring(fv.arange(99991, 100003):reshape(1, 13)), "tensor i64 (1,13)\n"
       .. "[[ 99991,  99992,  99993,  99994,  99995,  99996,  99997,  99998,  99999,\n"
       .. "  100000, 100001, 100002, 100003]]", "long rows break before column 80")
raises("#3 to 'matmul' %(a product takes two tensors and no options%)", "options of a product",
       function() return fv.matmul(x, x:t(), { out = fv.zeros(4, 4) }) end)
raises("a product takes two tensors and no options", "also while a gradient is recorded",
       function() return fv.grad(function(y) return fv.matmul(y, y:t(), { out = fv.zeros(4, 4) }):sum() end)(x) end)

-- memory: three times 2^46 bytes are more than an address space has
local kept = {}
raises("not enough memory for a tensor: f32 %(17592186044416%)", "memory that is not there", function()
  for i = 1, 3 do kept[i] = fv.empty(2 ^ 44) end
end)
tap.ok(#kept < 3, "three of them were not had")
kept = nil -- luacheck: ignore
raises("tensor too large: f32 %(1000000,1000000,1000000000%)", "a size that overflows",
       fv.zeros, 1e6, 1e6, 1e9)

-- elementwise functions
do
  local a, b = fv.zeros(2, 3), fv.zeros(2, 2)
  local i = fv.zeros(2, { dtype = "i64" })
  tap.raises("bad argument #2 to 'add' %(%(2,2%) does not broadcast with %(2,3%)%)", "shapes",
             function() return fv.add(a, b) end)
  tap.raises("does not broadcast", "operators too", function() return a * b end)
  tap.raises("tensor or number expected, got string", "a string", function() return a + "x" end)
  tap.raises("tensor expected, got number", "numbers alone", function() return fv.add(1, 2) end)
  tap.raises("tensor expected, got no value", "nothing", function() return fv.exp() end)
  tap.raises("f32 does not fit i64", "real into integer", function() return i:add_(0.5) end)
  tap.raises("expected %(2,3%), got %(1,3%)", "in place it must fit",
             function() return a:slice(1, 1, 1):add_(a) end)
  tap.raises("did you mean 'out'", "unknown option", function() return a:exp { oot = a } end)
  tap.raises("out: expected %(2,3%), got %(2,2%)", "out= of another shape",
             function() return a:exp { out = b } end)
  tap.raises("expected a tensor, got number", "out= no tensor",
             function() return a:exp { out = 3 } end)
  tap.raises("does not broadcast to", "copy_", function() return b:copy_(a) end)
  tap.raises("expected a number, got string", "fill", function() return a:fill "x" end)
  tap.is(a == fv.zeros(2, 3), false, "== is identity")
  tap.is(a == a, true, "of the same tensor")
end

-- options of operators
local function attend(opt) return function() return fv.softmax_attention(x, x, x, opt) end end
raises("option 'scale': expected a number, got %-?nan", "NaN is no option", attend { scale = 0 / 0 })
raises("option 'scale': expected a number, got \"a\"", "a word for a number", attend { scale = "a" })
raises("option 'window': expected a whole number in %[%-1, 1e%+15%], got %-5", "below the range",
       attend { window = -5 })
raises("option 'align': expected one of \"bottom_right\", \"top_left\", got \"left\"", "a choice",
       attend { align = "left" })
raises("cost: size 'n': expected a whole number from 0, got 1e%+300", "a size beyond integers",
       function() fv.elu1:cost { n = 1e300, d = 2 } end)
raises("cost: size 'n': expected a whole number from 0, got %-1", "a size below 0",
       function() fv.elu1:cost { n = -1, d = 2 } end)

-- methods
raises("tensor has no method 'reshpae' %(did you mean 'reshape'%?%)", "a method misspelt",
       function() x:reshpae(32) end)
raises("rng has no method 'strem' %(did you mean 'stream'%?%)", "of a rng",
       function() fv.rng(1):strem "x" end)
raises("stream has no method 'nomral' %(did you mean 'normal'%?%)", "of a stream",
       function() fv.rng(1):stream "x":nomral(3) end)

-- what is chosen by name
local nan = 0 / 0
raises("favor: x: expected a tensor %(%.%.%., n, d%), got integer", "a map of a number",
       fv.map("favor", { dim = 8 }), 3)
raises("got no value", "of nothing", fv.map("elu1"))
raises("got more", "of three things", fv.map("elu1"), x, "q", x)
raises("favor: x: expected f32 or f64, got i64", "of integers", fv.map("favor", { dim = 8 }), x:to "i64")
raises("favor: cost: expected a table of sizes, got nil", "a cost of nothing", function()
  fv.map("favor", { dim = 8 }):cost()
end)
raises("option 'scale': expected a number, got %-?nan", "NaN is no option there either",
       fv.map, "elu1", { scale = nan })
raises("expected a word of letters", "a name with a space", fv.map.register, { name = "a b",
       doc = "", build = print })
fv.map.register { name = "void", doc = "", build = function() end }
raises("map 'void': its build returned nothing", "a build that forgets to return", fv.map, "void")
fv.map.register { name = "three", doc = "", build = function() return { call = function() return 3 end } end }
raises("map 'three': its call returned a integer", "a map that gives no tensor", fv.map("three"), x)
raises("'map': expected a function that returns a tensor, got integer", "a function that gives no tensor",
       fv.attention("linear", { map = function() return 3 end }), x, x, x)
raises("#2 to 'softmax' %(y: expected a tensor, got integer%)", "a kernel of a number",
       fv.kernel "softmax", x, 3)

local whole, f64 = x:to "i64", x:to "f64"
for _, name in ipairs { "softmax", "uniform", "linear", "favor", "nystrom", "svd", "topm" } do
  local method = fv.attention(name)
  raises(("#1 to '%s' %%(q: expected f32 or f64, got i64%%)"):format(name), name .. " of integers",
         method, whole, x, x)

         raises(("#2 to '%s' %%(k: expected f32 like q, got f64; convert with :to%%)"):format(name),
         "and of two dtypes",
         method, x, f64, x)
  local o = method(x, fv.zeros(0, 8), fv.zeros(0, 3))
  tap.ok(o:size(1) == 4 and o:size(2) == 3, name .. " of no keys is a result")
end
tap.is(tostring(fv.full({ 2000 }, 1 / 0)):match "[^\n]*$", "not finite 2000", "infinities alone have no mean")

tap.raises("bad argument #1 to 'uninterrupted' %(f: expected a function, got number%)", "what cannot be called is told",
           fv.uninterrupted, 3)
tap.is(fv.uninterrupted(setmetatable({}, { __call = function(_, x) return x end }), 3), 3, "a table that can be is")

tap.done()
