-- Optimisers: one and two steps by algebra, resumption bit for bit, clipping, schedules.

local tap = require "tap"
local fv = require "fovea"

local f64 = { dtype = "f64" }
local G1, G2 = { 0.5, -2 }, { -1, 4 }         -- gradients of two steps
local X = { 1, 2 }

--- Two steps with those gradients from X as a matrix, which decays.
local function run(name, opt)
  local x = fv.tensor({ X }, f64):requires_grad()
  local o = fv.optim(name, { { name = "w", tensor = x } }, opt)
  local out = {}
  for i, g in ipairs { G1, G2 } do
    x.grad = fv.tensor({ g }, f64)
    o:step()
    out[i] = x:detach():clone()
  end
  return out[1], out[2]
end

--- By algebra: f(i) returns the two values of element i.
local function by(f)
  local a, b = {}, {}
  for i = 1, 2 do a[i], b[i] = f(X[i], G1[i], G2[i]) end
  return fv.tensor({ a }, f64), fv.tensor({ b }, f64)
end

local function golden(name, opt, what, f)
  local a, b = run(name, opt)
  local c, d = by(f)
  tap.near(a, c, 1e-12, name .. what .. ": the first step")
  tap.near(b, d, 1e-12, name .. what .. ": the second step")
end

golden("sgd", { lr = 0.1 }, "", function(x, g, h) return x - 0.1 * g, x - 0.1 * g - 0.1 * h end)
golden("sgd", { lr = 0.1, weight_decay = 0.5 }, " with decay", function(x, g, h)
  local y = 0.95 * x - 0.1 * g
  return y, 0.95 * y - 0.1 * h
end)
golden("sgd", { lr = 0.1, momentum = 0.9 }, " with momentum", function(x, g, h)
  return x - 0.1 * g, x - 0.1 * g - 0.1 * (0.9 * g + h)
end)
golden("sgd", { lr = 0.1, momentum = 0.9, nesterov = true }, " with Nesterov's momentum", function(x, g, h)
  local y = x - 0.1 * (g + 0.9 * g)
  return y, y - 0.1 * (h + 0.9 * (0.9 * g + h))
end)

local function adam(decay, eps)
  return function(x, g, h)
    local keep = 1 - 0.1 * decay
    local y = keep * x - 0.1 * g / (math.abs(g) + eps)              -- corrected, m = g and v = g^2
    local m, v = 0.8 * 0.2 * g + 0.2 * h, 0.9 * 0.1 * g ^ 2 + 0.1 * h ^ 2
    return y, keep * y - 0.1 * (m / (1 - 0.8 ^ 2)) / ((v / (1 - 0.9 ^ 2)) ^ 0.5 + eps)
  end
end
golden("adam", { lr = 0.1, beta1 = 0.8, beta2 = 0.9, eps = 1e-3 }, "", adam(0, 1e-3))
golden("adamw", { lr = 0.1, beta1 = 0.8, beta2 = 0.9, eps = 1e-3, weight_decay = 0.5 }, "", adam(0.5, 1e-3))

local function sign(x) return x > 0 and 1 or x < 0 and -1 or 0 end
golden("lion", { lr = 0.1, beta1 = 0.8, beta2 = 0.9, weight_decay = 0.5 }, "", function(x, g, h)
  local y = 0.95 * x - 0.1 * sign(0.2 * g)
  return y, 0.95 * y - 0.1 * sign(0.8 * 0.1 * g + 0.2 * h)
end)

-- ---- what decays, what muon does ----
do
  local x = fv.ones(3, f64):requires_grad()
  x.grad = fv.zeros(3, f64)
  local ps = { { name = "b", tensor = x } }
  fv.optim("adamw", ps, { lr = 0.1, weight_decay = 0.5 }):step()
  tap.near(x:detach(), fv.ones(3, f64), 0, "vectors do not decay")
  fv.optim("adamw", ps, { lr = 0.1, weight_decay = 0.5, decay_all = true }):step()
  tap.near(x:detach(), fv.full({ 3 }, 0.95, f64), 1e-15, "unless decay_all")

  local s = fv.rng(1):stream "muon"
  local w = fv.zeros(6, 4, f64):requires_grad()
  w.grad = s:normal(6, 4, f64)
  fv.optim("muon", { { name = "w", tensor = w } }, { lr = 1, steps = 10 }):step()
  local _, S = fv.svd(w:detach())
  local scale = (6 / 4) ^ 0.5
  tap.ok(S:max():item() < 1.3 * scale and S:min():item() > 0.6 * scale,
         "muon's step of a matrix has singular values near sqrt(r/c)", "%g to %g",
         S:min():item(), S:max():item())
  local U, _, Vt = fv.svd(w.grad)
  local nearest = U:matmul(Vt)
  local cosine = -(w:detach() * nearest):sum():item() / (w:detach():norm() * nearest:norm()):item()
  tap.ok(cosine > 0.97, "and the directions of the gradient's", "cosine %g", cosine)

  -- the iteration takes each singular value s of U S V' / |S| through a s + b s^3 + c s^5
  local lr, decay = 0.1, 0.5
  local function steps(a, b)
    local norm, out = (a * a + b * b) ^ 0.5 + 1e-7, {}
    for i, v in ipairs { a / norm, b / norm } do
      for _ = 1, 5 do v = 3.4445 * v - 4.7750 * v ^ 3 + 2.0315 * v ^ 5 end
      out[i] = v * lr * (3 / 2) ^ 0.5
    end
    return out[1], out[2]
  end
  for _, shape in ipairs { { 3, 2 }, { 2, 3 } } do
    local t = fv.ones(shape, f64):requires_grad()
    local o = fv.optim("muon", { { name = "t", tensor = t } }, { lr = lr, weight_decay = decay, momentum = 0.9 })
    local want, grad = fv.ones(shape, f64), fv.zeros(shape, f64)
    local b1, b2, last = 0, 0, shape[1] == 3 and 1 or (3 / 2) ^ 0.5      -- a wide one is not scaled
    for _, g in ipairs { { 3, 4 }, { 1, -6 } } do
      grad:set(1, 1, g[1])
      grad:set(2, 2, g[2])
      t.grad = grad
      o:step()
      b1, b2 = 0.9 * b1 + g[1], 0.9 * b2 + g[2]
      local s1, s2 = steps(g[1] + 0.9 * b1, g[2] + 0.9 * b2)
      want:mul_(1 - lr * decay)
      want:set(1, 1, want:get(1, 1) - s1 / last)
      want:set(2, 2, want:get(2, 2) - s2 / last)
    end
    tap.near(t:detach(), want, 1e-12, ("two steps of a (%d,%d) matrix by algebra"):format(table.unpack(shape)))
  end

  local e = fv.zeros(6, 4, f64):requires_grad()
  e.grad = w.grad
  fv.optim("muon", { { name = "embed.weight", tensor = e } }, { lr = 1 }):step()
  tap.near(e:detach(), -0.05 * w.grad:sign(), 1e-6, "embeddings take adamw's step, at aside_lr")
end

-- ---- resumption ----
for _, name in ipairs(fv.optim.names()) do
  local function begin()
    local m = fv.nn.mlp { width = 4, hidden = 6, seed = 2 }
    return m, fv.optim(name, m:parameters(), { lr = 0.01 })
  end
  local function go(m, o, from, to)
    for i = from, to do
      local x = fv.rng(i):stream "x":normal(3, 4)
      fv.nn.mse(m(x), x):backward()
      o:step()
      o:zero()
    end
  end
  local m, o = begin()
  go(m, o, 1, 3)
  local saved, weights = o:state(), {}
  for _, p in ipairs(m:parameters()) do weights[p.name] = p.tensor:detach():clone() end
  go(m, o, 4, 6)
  local m2, o2 = begin()
  m2:load(weights)
  o2:load(saved)
  go(m2, o2, 4, 6)
  local same = true
  for i, p in ipairs(m:parameters()) do
    same = same and (p.tensor - m2:parameters()[i].tensor):detach():abs():max():item() == 0
  end
  tap.ok(same, name .. " goes on from its state bit for bit")
end

-- ---- clipping ----
do
  local function two()
    local a, b = fv.zeros(2, f64):requires_grad(), fv.zeros(1, f64):requires_grad()
    a.grad, b.grad = fv.tensor({ 2, 3 }, f64), fv.tensor({ 6 }, f64)
    return { { name = "a", tensor = a }, { name = "b", tensor = b } }
  end
  local ps = two()
  tap.close(fv.optim.clip(ps, 3.5), 7, 1e-15, "clip returns the norm of all gradients")
  tap.near(ps[1].tensor.grad, fv.tensor({ 1, 1.5 }, f64), 1e-15, "and scales them to the norm allowed")
  tap.near(ps[2].tensor.grad, fv.tensor({ 3 }, f64), 1e-15, "all by one factor")
  ps = two()
  fv.optim.clip(ps, 8)
  tap.near(ps[1].tensor.grad, fv.tensor({ 2, 3 }, f64), 0, "gradients within it stay")
end

-- ---- errors ----
do
  local x = fv.zeros(2, 2):requires_grad()
  local ps = { { name = "w", tensor = x } }
  local o = fv.optim("adam", ps)
  tap.raises("'w.m': expected f32 %(2,2%), got f32 %(3%)\n.*missing 'w.v' f32 %(2,2%)\n"
             .. ".*unknown entry '1'\n.*unknown entry 'v.m'", "load lists all that does not fit", o.load, o,
             { step = 1, ["w.m"] = fv.zeros(3), ["v.m"] = fv.zeros(1), fv.zeros(2) })
  tap.raises("optim.t.*did you mean 'adam'", "an optimiser nobody has names the nearest",
             function() local _ = fv.optim("adamv", ps) end)
  tap.raises("unknown option 'lrr'", "so does an unknown option", fv.optim, "adam", ps, { lrr = 1 })
  tap.raises("parameters: expected a list", "no parameters are refused", fv.optim, "adam", {})
  tap.raises("two are named 'w'", "and two of one name", fv.optim, "adam", { ps[1], ps[1] })
end

-- ---- schedules ----
do
  local c = fv.schedule("cosine", { lr = 2, steps = 110, warmup = 10, last = 0.1 })
  tap.close(c(5), 1, 1e-15, "the warm-up is a line")
  tap.close(c(10), 2, 1e-15, "that ends at lr")
  tap.close(c(60), 2 * 0.55, 1e-12, "half of a cosine is the mean of its ends")
  tap.close(c(110), 0.2, 1e-12, "whose last is last * lr")
  tap.close(c(500), 0.2, 1e-12, "and stays")
  tap.close(fv.schedule("linear", { lr = 2, steps = 100 })(25), 1.5, 1e-15, "linear is a line to 0")
  tap.is(fv.schedule("constant", { lr = 2 })(99), 2, "constant is constant")
  tap.raises("at most steps=5, got 9", "a warm-up longer than the run is refused", fv.schedule, "cosine",
             { lr = 1, steps = 5, warmup = 9 })
end

tap.done()
