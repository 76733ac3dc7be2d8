-- Writes into tensors that a backward pass still needs, by every way there is, and writes that
-- spoil nothing.

local fv = require "fovea"
local tap = require "tap"

local f64 = { dtype = "f64" }
local CHANGED = "was changed in place"

-- ---- every way to write ----

local function refuses(name, write, say)
  local x = fv.tensor({ { 1, 2, 3 }, { 4, 5, 6 } }, f64):requires_grad()
  local y = x:square():sum()
  write(x)
  local good, err = pcall(y.backward, y)
  tap.ok(not good and err:find("backward: square: x, f64 (2,3), " .. CHANGED, 1, true) and not x.grad,
         name .. (say or " is seen"), "%s", err)
end

local function hidden(f) return function(x) fv.no_grad(f, x) end end

do
  local one = fv.ones(2, 3, f64)
  local args = { fill = { 1 }, copy_ = { one }, set = { 1, 1, 7 }, clamp_ = { 0, 1 } }
  for name, doc in pairs(fv.docs.tensor) do
    if doc.grad == "place" then
      local given = args[name] or doc.sig:find "%(y%)" and { one } or {}
      refuses("x:" .. name, hidden(function(x) x[name](x, table.unpack(given)) end))
    end
  end
  refuses("x[i] = y", hidden(function(x) x[2] = one[1] end))
  refuses("{out=x}", hidden(function(x) fv.add(one, one, { out = x }) end))
  local views = {
    slice = function(x) return x:slice(2, 3, 3) end, index = function(x) return x[1][2] end,
    t = function(x) return x:t() end, reshape = function(x) return x:reshape(-1) end,
    permute = function(x) return x:permute(2, 1) end, unsqueeze = function(x) return x:unsqueeze(1) end,
    squeeze = function(x) return x:squeeze() end, diagonal = function(x) return x:diagonal() end,
    expand = function(x) return x:expand(2, 3) end, contiguous = function(x) return x:contiguous() end,
    ["a view of a view"] = function(x) return x[2]:slice(1, 2, 3):unsqueeze(1) end
  }
  for name, view in pairs(views) do
    refuses(name, hidden(function(x) view(x):fill(0) end), ": a write through it is seen")
  end
  refuses("detach", function(x) x:detach()[1]:add_(1) end, ": a write through it is seen")
  for _, name in ipairs(fv.optim.names()) do
    refuses("a step of " .. name, function(x)
      x.grad = one
      fv.optim(name, { { name = "x", tensor = x } }, {}):step()
      x.grad = nil
    end)
  end

  local model = fv.nn("linear", { inputs = 3, outputs = 2, dtype = "f64" })
  local y = model(one:requires_grad()):sum()
  model:load { weight = fv.zeros(2, 3, f64), bias = fv.zeros(2, f64) }
  tap.raises("matmul: .*" .. CHANGED, "layer:load is seen", y.backward, y)
  one:requires_grad(false)

  local x, c = fv.ones(3):requires_grad(), fv.ones(3)
  local z = (x * c):sum()
  c:add_(1)
  tap.raises("mul: y, f32 %(3%), " .. CHANGED, "so is a write into a constant, with the tape on", z.backward, z)
  local v, at = (x * fv.arange(3):to "f32"):sort()
  at:fill(1)
  local sum = v:sum()
  tap.raises("sort: indices, i64", "and into a result without a gradient", sum.backward, sum)
end

do
  local path = os.tmpname() .. ".npy"
  fv.save(path, fv.ones(4))
  local x = fv.load(path, { mmap = true }):slice(1, 1, 3):requires_grad()
  collectgarbage()
  local y = x:square():sum()
  fv.no_grad(function() x:slice(1, 2, 2):fill(0) end)
  tap.raises("square: x, f32 %(3%), " .. CHANGED, "a write into a mapped file is seen", y.backward, y)
  os.remove(path)
end

-- ---- what saves differently ----

do
  local x, w = fv.ones(3, f64):requires_grad(), fv.ones(3, f64):requires_grad()
  local function after(f, write)
    local y = f():sum()
    fv.no_grad(write)
    return pcall(y.backward, y)
  end
  local function spoil_x() x:add_(1) end
  local function raises(why, name, f, write)
    local good, err = after(f, write or spoil_x)
    tap.ok(not good and err:find(why), name, "%s", err)
  end
  local function fine(name, f, write)
    tap.ok(after(f, write or spoil_x), name)
  end
  local takes = {
    dy = fv.op { name = "scale", forward = function(a) return a * 2 end, backward = function(dy) return dy * 2 end },
    x = fv.op { name = "sq", forward = function(a) return a * a end, backward = function(dy, _, a) return dy * a * 2 end },
    all = fv.op { name = "any", forward = function(a) return a * a end, backward = function(dy, ...)
      return dy * select(2, ...) * 2
    end },
    deep = fv.op { name = "deep", forward = function(a, t) return a * t.c[1] end,
      backward = function(dy, _, _, t) return dy * t.c[1] end }
  }
  fine("fv.op whose backward takes dy alone keeps nothing", function() return takes.dy(x) end)
  raises("sq: input 1, f64 %(3%), " .. CHANGED, "fv.op keeps what backward takes", function() return takes.x(x) end)
  raises("any: input 1", "all of it with '...'", function() return takes.all(x) end)
  local c = fv.ones(3, f64)
  raises("deep: .*among its inputs", "and what is in tables", function() return takes.deep(x, { c = { c } }) end,
         function() c:add_(1) end)
  local y
  raises("sq: its result", "and the result", function() y = takes.x(x) return y end, function() y:add_(1) end)

  local function inner(a) return a:tanh() + w end
  raises("checkpoint: input 1, f64 %(3%), " .. CHANGED, "a checkpoint keeps its arguments",
         function() return fv.checkpoint(inner, x) end)
  raises("checkpoint: a tensor among its inputs", "in tables too",
         function() return fv.checkpoint(function(t) return t.x:tanh() end, { x = x }) end)
  raises("checkpoint: f64 %(3%) " .. CHANGED, "and what its function uses",
         function() return fv.checkpoint(inner, x) end, function() w:add_(1) end)
  local k, bias = fv.ones(1, 3, f64), fv.zeros(1, 1, f64)
  raises("checkpoint: f64 %(1,1%) " .. CHANGED, "by options as well", function()
    return fv.checkpoint(function(a) return fv.softmax_attention(a:unsqueeze(1), k, k, { bias = bias }) end, x)
  end, function() bias:add_(1) end)
  local seed = fv.ones(3, f64)
  x.grad = nil
  x:exp():backward(seed, { create_graph = true })
  local g = x.grad:sum()
  seed:add_(1)
  tap.raises(CHANGED, "a seed is kept by the graph of its gradient", g.backward, g)
  x.grad = nil
end

-- ---- writes that spoil nothing ----

do
  local x = fv.tensor({ 1, 2, 3 }, f64):requires_grad()
  local function gradient(y)
    x.grad = nil
    y:backward()
    return x.grad
  end
  local function unmoved(name, f)
    tap.near(gradient(f()), fv.tensor({ 2, 4, 6 }, f64), 0, name)
  end
  unmoved("a write before the call", function()
    fv.no_grad(function() x:mul_(2):mul_(0.5) end)
    return x:square():sum()
  end)
  unmoved("a write into a clone", function()
    local y = x:square():sum()
    x:detach():clone():fill(0)
    return y
  end)
  unmoved("a write that raised wrote nothing", function()
    local y = x:square():sum()
    for _, write in ipairs { function() x:add_(fv.ones(2)) end, function() x:copy_(fv.ones(2)) end,
                             function() x:set(9, 0) end, function() x:set(1, "a") end, function() x[9] = 1 end,
                             function() x[1] = "a" end, function() x:fill "a" end,
                             function() fv.add(fv.ones(2), 1, { out = x }) end } do
      assert(not pcall(fv.no_grad, write))
    end
    return y
  end)
  unmoved("a write into what a sum had", function()
    local y = x:square()
    local z = y:sum()
    fv.no_grad(function() y:fill(0) end)
    return z
  end)
  unmoved("a graph that is retained", function()
    local y = x:square():sum()
    y:backward { retain_graph = true }
    fv.no_grad(function() x.grad:fill(0) end)
    return y
  end)
  local y = x:square():sum()
  y:backward { retain_graph = true }
  fv.no_grad(function() x:add_(0) end)
  tap.raises("square: x", "a retained graph is checked each time", y.backward, y)
  local second = fv.grad(function(a)
    local g = fv.grad(function(b)
      local buffer = fv.zeros(3, f64)
      buffer:copy_(b:detach())
      return (b ^ 3):sum()
    end)(a)
    return g:sum()
  end)(x)
  tap.near(second, x:detach() * 6, 0, "gradients nest with buffers filled on the way")
  local half = fv.grad(function(a)
    local z = (a * a):sum()
    fv.no_grad(function() a:add_(1) end)
    return z
  end)
  tap.raises("mul: x, f64 %(3%), " .. CHANGED, "fv.grad checks its own graph", half, x:detach():clone())
end

for _, name in ipairs(fv.optim.names()) do
  local model = fv.nn("mlp", { width = 4, hidden = 8, dropout = 0.5, seed = 2 })
  local opt = fv.optim(name, model:parameters(), { lr = 0.01 })
  local function steps()
    for i = 1, 3 do
      model:train(i)
      local x = fv.rng(i):stream("x"):normal(5, 4)
      local y = fv.checkpoint(model, model(x)):square():mean()
      y:backward()
      fv.optim.clip(model:parameters(), 1)
      opt:step()
      opt:zero()
    end
  end
  local good, err = pcall(steps)
  tap.ok(good, name .. ": steps, dropout, clipping and a checkpoint go on", "%s", err)
end

do
  local attend, r = fv.attention("softmax", {}), fv.rng(3):stream "pieces"
  local q, k, v = r:normal(1, 6, 4, f64):requires_grad(), r:normal(1, 6, 4, f64), r:normal(1, 6, 4, f64)
  local whole = fv.grad(function(a) return (attend(a, k, v, { causal = true })):square():sum() end)(q)
  local total, state = 0, {}
  for i = 1, 6 do
    local function piece(x) return x:slice(2, i, i) end
    local o, _, next_state = attend(piece(q), piece(k), piece(v), { causal = true, state = state })
    total, state = total + o:square():sum(), next_state
  end
  total:backward()
  tap.near(q.grad, whole, 1e-12, "keys that are kept piece by piece are not rewritten")   -- sums of 6
  q:requires_grad(false)
end

tap.done()
