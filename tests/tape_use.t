-- The tape in use: loops, random programs, nesting, checkpoints, operators and
-- attention methods, refusals, memory.

local fv = require "fovea"
local tap = require "tap"

local rng = fv.rng(11):stream "tape"
local function r(...) return rng:uniform({ ... }, { lo = -1, hi = 1, dtype = "f64" }) end

-- Central differences of step 1e-5 in f64: see tape.t.
local function check(name, f, xs, tol)
  local good, gap, place = pcall(fv.gradcheck, f, xs, { tol = math.huge })
  return tap.ok(good and gap <= (tol or 1e-6), name, "%s %s", gap, place)
end

-- ---- values known by algebra ----

do
  local x = fv.tensor({ 1, -2, 3 }, { dtype = "f64" })
  local g, y = fv.grad(function(a) return (a * a):sum() end)(x)
  tap.near(g, x * 2, 0, "grad of x.x is 2x")
  tap.is(y:item(), 14, "the value is the last result")
  local v, ga, gb = fv.value_and_grad(function(a, n, b) return (a * b):sum() * n end)(x, 3, x + 1)
  tap.is(v:item(), 3 * (2 + 2 + 12), "value_and_grad gives the value first")
  tap.near(ga, (x + 1) * 3, 0, "numbers among the arguments pass through")
  tap.near(gb, x * 3, 0, "a gradient for each tensor")
  local function cube(a) return (a ^ 3):sum() end
  local second = fv.grad(function(a) return (fv.grad(cube)(a)):sum() end)(x)
  tap.near(second, x * 6, 1e-15, "gradients nest")
  local third = fv.grad(function(a)
    return (fv.grad(function(b) return (fv.grad(cube)(b)):sum() end)(a) * a):sum()
  end)(x)
  tap.near(third, x * 12, 1e-14, "and nest again")
  local w = fv.grad(function(w) return (fv.grad(function(a)
    return (a * a * w):sum() end)(x) * x):sum() end)(x)
  tap.near(w, x * x * 2, 1e-15, "an outer gradient sees through an inner one by closure")
  local p = { w = x, deep = { b = x * 0 + 2, name = "b" } }
  local gp, gx = fv.grad(function(t, a) return (t.w * t.deep.b * a):sum() end)(p, x)
  tap.near(gp.w, x * 2, 0, "a table of tensors gets a table of gradients")
  tap.near(gp.deep.b, x * x, 0, "nested as it is")
  tap.near(gx, x * 2, 0, "beside those of tensors")
  local ga, gb = fv.grad(function(a, b) return (a.w * a.w * b.w):sum() end)(p, p)
  tap.near(ga.w, x * x * 2, 0, "a table given twice has a gradient as each argument")
  tap.near(gb.w, x * x, 0, "of its own")
  local tied = fv.grad(function(t) return (t.one.w * t.two.w):sum() end)({ one = { w = x }, two = p })
  tap.near(tied.one.w, x, 0, "two tables in one argument have two")
  tied = fv.grad(function(t) return (t.one.w * t.two.w):sum() end)({ one = p, two = p })
  tap.near(tied.one.w, x * 2, 0, "one table in two places has one")
  tap.is(tied.two, tied.one, "in both")
  tap.ok(gp.deep.name == nil and p.w.grad == nil, "and is left as it was")
  tap.raises("no f32 or f64 tensor", "nothing to differentiate by raises",
    fv.grad(function() return x:sum() end), 3)
  local zero = fv.grad(function(a, b) return a:sum() + b:detach():sum() end)(x, x)
  tap.near(zero, fv.ones(3, { dtype = "f64" }), 0, "the used argument")
  tap.is(select(2, fv.grad(function(a, b) return a:sum() + b:detach():sum() end)(x, x)):abs():sum():item(), 0,
         "an argument that does not matter has gradient 0")
  local y2, ones = r(3, 2), fv.ones(3, 2, { dtype = "f64" })
  local t, out = fv.jvp(function(a, b) return a:matmul(b):tanh() end, { x, y2 }, { x * 0, ones })
  local s = x:sum():item()
  tap.near(t, (1 - out * out) * s, 1e-14, "jvp: the derivative along a direction")
  tap.near(out, x:matmul(y2):tanh(), 0, "jvp gives the result too")
  local one = x * 0 + 1
  local function cubed(b) return b ^ 3 end
  local slope = fv.grad(function(a) return (fv.jvp(cubed, { a }, { one })):sum() end)(x)
  tap.near(slope, x * 6, 1e-14, "a jvp can be differentiated")
  local gs, o1 = fv.vjp(function(a) return a * 2 end, { x }, x)
  tap.near(gs[1], x * 2, 0, "vjp with a seed")
  tap.near(o1, x * 2, 0, "vjp gives the result")
end

-- ---- leaves ----

--- In a process of its own, where no tensor has been marked yet.
local function fresh(code)
  local exe = io.open("/proc/self/cmdline"):read "a":match "^[^%z]+"
  local p = io.popen(("%s -e '%s'"):format(exe, code))
  local text = p:read "a"
  p:close()
  return text
end

for name, code in pairs {
  ["the first leaf may be made in no_grad, which records nothing"] =
    "fv.no_grad(function() w = fv.ones(2):requires_grad(); s = w:sum() end) good = not pcall(s.backward, s)",
  ["or inside of a function that is differentiated"] =
    "fv.grad(function(x) w = fv.ones(2):requires_grad(); return x:sum() end)(fv.ones(2)) good = true"
} do
  tap.is(fresh(code .. "; (w * 3):sum():backward() print(good, w.grad[1]:item())"), "true\t3.0\n", name)
end

do
  local x, w = r(4, 3):to "f32":requires_grad(), r(3, 2):requires_grad()
  local function loss() return (x:matmul(w):tanh()):sum() end
  loss():backward()
  tap.is(x.grad:dtype(), "f32", "a leaf's gradient has its dtype")
  local once = w.grad:clone()
  loss():backward()
  tap.near(w.grad, once * 2, 1e-15, "gradients accumulate")
  w.grad = nil
  tap.is(w.grad, nil, "and start afresh")
  local y = loss()
  y:backward { retain_graph = true }
  y:backward()
  tap.near(w.grad, once * 2, 1e-15, "a retained graph runs twice")
  tap.raises("used up", "a graph that was used raises", y.backward, y)
  tap.raises("scalar", "a result that is no scalar needs a seed", function() x:exp():backward() end)
  tap.raises("nothing that requires", "a constant has no gradient", function() fv.zeros(1):backward() end)
  tap.raises("f32 or f64", "integers have none", function() fv.arange(3):requires_grad() end)
  tap.raises("without requires_grad", "grad is not set on others",
    function() fv.zeros(1).grad = fv.zeros(1) end)
  tap.is(fv.zeros(1).grad, nil, "and reads as nil")
  for want, g in pairs { ["f64 %(3,2%) like the tensor, got f64 %(2%)"] = r(2), ["got f32 %(3,2%)"] = fv.zeros(3, 2),
                         ["got a number"] = 3 } do
    tap.raises("grad: expected nil or .*" .. want, "nor to what is not like the tensor", function() w.grad = g end)
  end
  tap.raises("no field 'grads'", "a tensor has no other field to set", function() w.grads = w.grad end)
  tap.raises("flag: expected true, false", "a flag is true or false", function() w:requires_grad "no" end)
  tap.raises("expected a table of options, got number", "options are a table",
    function() loss():backward(nil, 1) end)
  for name, f in pairs {
    add_ = function() x:add_(1) end, fill = function() x:fill(0) end, set = function() x:set(1, 1, 0) end,
    copy_ = function() fv.zeros(4, 3):copy_(x) end, ["x%[i%] = y"] = function() fv.zeros(4, 3)[1] = x[1] end,
    exp_ = function() x:tanh():exp_() end
  } do tap.raises(name .. ": in place", name .. " in place raises", f) end
  tap.raises("option 'out'", "out= raises", function() fv.exp(x, { out = fv.zeros(4, 3) }) end)
  tap.raises("lstsq: not differentiable", "lstsq has no rule", function() fv.lstsq(w, fv.ones(3,
    { dtype = "f64" })) end)
  fv.no_grad(function() w:mul_(0.5) end)
  tap.raises("nothing that requires", "no_grad records nothing", function() fv.no_grad(loss):backward() end)
  tap.raises("oops", "no_grad passes errors on", fv.no_grad, function() error "oops" end)
  tap.raises("nothing that requires", "detach cuts", function() x:detach():sum():backward() end)
  tap.ok(not pcall(function() x:add_(1) end), "the tape is on again after them")
  local _, taped = pcall(function() return x:matmul(x) end)
  local _, plain = pcall(function() return x:detach():matmul(x:detach()) end)
  tap.is(taped:match "bad.*", plain:match "bad.*", "misfits are told as without the tape")
  local calls = 0
  debug.sethook(function()
    if debug.getinfo(2, "f").func ~= fv.exp then return end
    calls = calls + 1
    if calls == 2 then error "interrupted!" end           -- in the rule's own call
  end, "c")
  local stopped, why = pcall(function() return (fv.exp(w)) end)
  debug.sethook()
  tap.ok(not stopped and calls == 2 and why:find "interrupted!", "an interrupt in a recorded call passes")
  tap.ok(pcall(function() fv.exp(w):sum():backward() end), "and the next call is recorded")
  x:requires_grad(false)
  tap.ok(pcall(function() x:add_(0) end), "requires_grad(false) takes the mark away")
  w.grad = nil
  local a = (w * 2):sum()
  local before = w.grad
  local gx = fv.grad(function(b) return (b:matmul(w)):sum() end)(r(2, 3))
  tap.is(w.grad, before, "fv.grad leaves other leaves alone")
  gx:sum():backward()
  a:backward()
  tap.near(w.grad, fv.full({ 3, 2 }, 4, { dtype = "f64" }), 1e-15,
    "but its result can be differentiated by them")
  w:requires_grad(false)
end

for who, f in pairs {
  grad = fv.grad, value_and_grad = fv.value_and_grad, vjp = fv.vjp, jvp = fv.jvp, no_grad = fv.no_grad,
  checkpoint = fv.checkpoint, gradcheck = fv.gradcheck
} do tap.raises("bad argument #1 to '" .. who .. "'", who .. " wants a function", f, 3) end
for who, f in pairs { vjp = fv.vjp, jvp = fv.jvp, gradcheck = fv.gradcheck } do
  tap.raises("bad argument #2 to '" .. who .. "'", who .. " wants a list", f, function(x) return x end)
end

tap.raises("tape_use.t.*: op: option 'backward' is required", "op names the caller's line", function()
  local _ = fv.op { forward = print }
end)
tap.raises("tape_use.t.*: gradcheck: unknown option 'step'", "so does gradcheck", function()
  local _ = fv.gradcheck(fv.exp, { fv.ones(2) }, { step = 1 })
end)
tap.raises("gradcheck: expected the function to return f32 or f64", "gradcheck wants tensors", fv.gradcheck,
           function(x) return x:to "i64" end, { fv.ones(2) })
tap.raises("xs: expected f32 or f64 tensors among them", "gradcheck wants some to change", fv.gradcheck,
           function(x) return x * 2.5 end, { fv.arange(2) })
tap.raises("grad: expected a scalar result, got %(2%); add it up", "grad wants a scalar", fv.grad(fv.exp), fv.ones(2))

-- ---- programs ----

check("a state carried through a loop", function(w, x)
  local h = x[1]
  for t = 1, 5 do
    h = (h * w:sum() + x[t]):tanh()
    if h:sum():item() > 0 then h = h * 1.5 end
  end
  return h
end, { r(3), r(5, 4) })

check("many slices of one tensor", function(x)
  local total = 0
  for i = 1, 4 do total = total + (x[i]:slice(1, i, 4) * x:diagonal()[i]):sum() + x:sum() end
  return total
end, { r(4, 4) })

do
  local one = { "tanh", "sigmoid", "sin", "square", "softplus", "neg", "gelu" }
  for seed = 1, 12 do
    local pick = fv.rng(seed):stream "programs"
    check("random program " .. seed, function(a, b, c)
      pick:position(0)
      local pool = { a, b, c }
      for _ = 1, 10 do
        local x, y = pool[pick:integers(1, #pool)], pool[pick:integers(1, #pool)]
        local k = pick:integers(1, 7)
        local z
        if k == 1 then z = x + y
        elseif k == 2 then z = x * y
        elseif k == 3 then z = x - y * 0.5
        elseif k == 4 then z = x / (y * y + 1)
        elseif k == 5 then z = x:expand(3, 3):matmul(y:expand(3, 3):t()) * 0.3
        elseif k == 6 then z = fv.cat({ x:slice(-1, 2, 3), x:slice(-1, 1, 1) }, -1):expand(3, 3):t()
        else
          local name = one[pick:integers(1, #one)]
          z = x[name](x)
        end
        pool[#pool + 1] = z
      end
      return pool[#pool]:sum() + pool[#pool - 1]
    end, { r(3, 3), r(1, 3), r(3, 3) }, 5e-6)           -- curvature grows with depth
  end
end

do
  local w = r(3, 3):requires_grad()
  local function layer(x) return (x:matmul(w)):tanh(), x * 2 end
  local x = r(2, 3)
  local function plain(f) return function(a) local y, z = f(a) return (y * z + a):sum() end end
  local g1 = fv.grad(plain(layer))(x)
  local g2 = fv.grad(plain(function(a) return fv.checkpoint(layer, a) end))(x)
  tap.near(g2, g1, 1e-15, "a checkpoint changes no gradient but the order of a sum")
  plain(layer)(x):backward()
  local wg = w.grad
  w.grad = nil
  plain(function(a) return fv.checkpoint(layer, a) end)(x):backward()
  tap.near(w.grad, wg, 0, "nor those of parameters that its function closes over")
  local stream, drop = fv.rng(1):stream "noise", fv.nn.dropout { rate = 0.5, dtype = "f64" }:train(3)
  local function dropped(a) return drop(a * w[1]):tanh(), a * 2 end
  tap.near(fv.grad(plain(function(a) return fv.checkpoint(dropped, a) end))(x), fv.grad(plain(dropped))(x), 1e-15,
           "nor does it with dropout: the same mask twice")
  local function noisy(a) return a * stream:uniform({ 2, 3 }, { dtype = "f64" }), a * 2 end
  tap.raises("did not return the same when the backward", "a stream that moves on raises",
             fv.grad(plain(function(a) return fv.checkpoint(noisy, a) end)), x)
  local y = plain(function(a) return fv.checkpoint(layer, a) end)(x)
  fv.no_grad(function() w:mul_(2) end)
  tap.raises("checkpoint: f64 %(3,3%) was changed in place", "so does a parameter that was changed", y.backward, y)
  local inf = plain(function(a) return fv.checkpoint(function(b) return b / 0 - b / 0, b end, a) end)
  tap.ok(pcall(fv.grad(inf), x), "NaN is the same as NaN")
  w:requires_grad(false)
  local function slope(f) return fv.grad(function(a) return (fv.grad(plain(f))(a)):square():sum() end)(x) end
  tap.near(slope(function(a) return fv.checkpoint(layer, a) end), slope(layer), 1e-14,
    "nor second derivatives")
end

do
  local twice = fv.op { name = "swish", forward = function(x, k) return x * (x * k):sigmoid() end,
    backward = function(dy, _, x, k)
      local s = (x * k):sigmoid()
      return dy * (s + x * k * s * (1 - s))
    end }
  check("fv.op", function(x) return twice(x, 2) * x end, { r(3) })
  check("fv.op twice", function(x) return (fv.vjp(function(a) return twice(a, 2):sum() end,
    { x }))[1] end, { r(3) }, 1e-5)
  local two = fv.op { forward = function(x, y) return x * y, x + y end,
    backward = function(d, _, x, y) return (d[1] or 0) * y + (d[2] or 0), (d[1] or 0) * x + (d[2] or 0) end }
  check("fv.op with two results", two, { r(3), r(3) })
  local wrong = fv.op { name = "wrong", forward = function(x) return x * x end, backward = function(dy)
    return dy end }
  tap.raises("gradcheck: gap", "gradcheck finds a wrong gradient", fv.gradcheck, wrong, { r(3) })
  local misfit = fv.op { name = "misfit", forward = function(x) return x:sum() end,
    backward = function(dy) return dy end }
  tap.raises("misfit: backward: gradient 1", "a gradient of the wrong shape raises", fv.grad(misfit), r(3))
end

-- ---- operators and what is composed of them ----

local q, k, v = r(2, 5, 4), r(2, 5, 4), r(2, 5, 3)
local g = r(2, 5):abs() * -0.5
check("softmax_attention", function(a, b, c, bias)
  return fv.softmax_attention(a, b, c, { causal = true, bias = bias })
end, { q, k, v, r(5, 5) })
check("softmax_attention, bias by position, keys shared by the batch", fv.softmax_attention, { q, k[1],
  v[1], r(5, 5) })
check("linear_attention", function(a, b, c) return (fv.linear_attention(a, b, c, { causal = true })) end,
      { q:abs() + 0.1, k:abs() + 0.1, v })
check("a rule with its state", function(a, b, c, d, s)
  return fv.gated_delta_rule(a, b * 0.5, c, d:sigmoid(), g, { state = s })
end, { q, k, v, r(2, 5), r(2, 4, 3) })
for name, opt in pairs { nystrom = { landmarks = 2, iterations = 3 }, favor = { features = 8 }, uniform = {},
                         linear = { map = "dpfp" }, topm = { keep = 3 } } do
  local attend = fv.attention(name, opt)
  check("attention " .. name, function(a, b, c) return (attend(a, b, c)) end, { q, k, v }, 2e-6)
end
check("favor, causal", function(a, b, c)
  return (fv.attention("favor", { features = 8, estimator = "hyperbolic" })(a, b, c, { causal = true }))
end, { q, k, v }, 2e-6)
check("a Gram matrix", function(a, b) return fv.kernel("gaussian")(a, b) end, { q, k })
tap.raises("its gradient has no gradient", "an operator's second derivative raises", function()
  fv.grad(function(a) return (fv.grad(function(b) return fv.elu1(b):square():sum() end)(a)):sum() end)(q)
end)

-- ---- memory ----

do
  local w = fv.zeros(64, 64):requires_grad()
  local x = fv.ones(64, 64)
  local function steps(n)
    for _ = 1, n do
      local h = x
      for _ = 1, 5 do h = (h:matmul(w)):tanh() + x end
      local y = (h * h):sum()
      if n % 2 == 0 then y:backward() end
      w.grad = nil
    end
    collectgarbage()
    collectgarbage()
    return collectgarbage "count"
  end
  local early = steps(20)
  tap.ok(steps(200) < early + 64, "200 steps leave nothing behind")      -- KB: 16 KB a tensor
  tap.ok(steps(201) < early + 64, "nor do graphs that are dropped unused")
  local h = x
  for _ = 1, 50 do h = h:matmul(w):tanh() end
  local y = h:sum()
  h = nil
  collectgarbage()
  local held = collectgarbage "count"
  y:backward()
  w.grad = nil
  collectgarbage()
  tap.ok(collectgarbage "count" < held - 50 * 16, "what was saved is let go while y stays")
  tap.is(y:ndim(), 0, "y is still there")
  w:requires_grad(false)
end

for _, name in ipairs { "with", "within", "raw", "stale", "unseen", "track", "same", "rules" } do
  tap.raises("bad argument #[12]", "taping." .. name .. " without arguments is an error", fv.taping[name])
end
tap.raises("bad argument #2", "and without a function to call", fv.taping.with, true)
tap.raises("bad argument #3", "or one that comes late", fv.taping.within, 1, 2)

tap.done()
