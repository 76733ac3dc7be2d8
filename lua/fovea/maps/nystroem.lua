--- phi(x) = k(x, Z) U f(w)^(1/2),  k(Z, Z) = U diag(w) U'

local fv = require "fovea"
local named = require "fovea.named"

--- The columns of R with R R' = the core's inverse of k(Z, Z), by falling eigenvalue of k(Z, Z),
--- and what the core says.
local function root(kernel, Z, core)
  local inverse, info = core(kernel(Z:to "f64"), { symmetric = true })
  local e, V = fv.eigh(inverse)
  local m, kept = e:size(-1), e:gt(0):to "i64":sum(-1):max():item()
  local R = V * e:maximum(0):sqrt():unsqueeze(-2)
  return R:slice(-1, m - kept + 1, m), info
end

local function build(opt)
  local kernel = named(fv.kernel, opt.kernel, {}, "nystroem", "kernel")
  local core = named(fv.inverse, opt.core, {}, "nystroem", "core")
  local rule = named(fv.landmarks, opt.rule, { count = opt.landmarks, seed = opt.seed }, "nystroem", "rule")
  local object = { points = opt.points or false, rank = false, info = false, root = false }
  object.statistics = function(_, q, k)
    local x = rawequal(q, k) and q or fv.cat({ q, k }, -2)
    if x:isfinite():all():item() == 0 then
      error("nystroem: fit: expected finite numbers, got NaN or infinity", 3)
    end
    return { points = (fv.no_grad(rule, x, kernel)) }
  end
  object.kernel = function(_, x, y) return kernel(x, y) end
  local Z = opt.points
  if not Z then
    object.call = function()
      error("nystroem: not fitted: phi = phi:fit(x) chooses landmarks, option 'points' gives them", 3)
    end
    return object
  end
  if Z:ndim() < 2 then
    error("nystroem: option 'points': expected (..., m, d), got " .. Z:ndim() .. " dimensions", 0)
  end
  local R, info = fv.no_grad(root, kernel, Z, core)
  info.rule, info.core, info.method = rule.name, core.name, nil
  object.dim, object.features, object.root = Z:size(-1), R:size(-1), R
  object.rank, object.info = info.rank, info
  local as = { [Z:dtype()] = { Z, R:to(Z:dtype()) } }
  object.call = function(_, x)
    local dtype = x:dtype()
    if dtype ~= "f32" and dtype ~= "f64" then
      error("nystroem: x: expected f32 or f64, got " .. dtype, 3)
    end
    as[dtype] = as[dtype] or { Z:to(dtype), R:to(dtype) }
    return kernel(x, as[dtype][1]):matmul(as[dtype][2])
  end
  object.residual = function(self, x)
    local all = kernel:diag(x)
    return ((all - (self(x) ^ 2):sum(-1)):sum() / all:sum()):item()
  end
  object.cost = function(_, sizes)
    local m = Z:size(-2)
    local total = { flops = 2 * sizes.n * m * R:size(-1), bytes = 0, exps = 0 }
    for what, count in pairs(kernel:cost { n = sizes.n, m = m, d = Z:size(-1) }) do
      total[what] = total[what] + count
    end
    return total
  end
  return object
end

return {
  name = "nystroem",
  doc = "Nystrom features of any kernel: phi(x) = k(x, Z) R, R R' the inverse of k(Z, Z), so that\n"
     .. "phi(x).phi(y) = k(x, Z) k(Z, Z)^-1 k(Z, y): exact at the landmarks Z, and for all points if\n"
     .. "they are all landmarks. phi = phi:fit(x (n, d)) chooses Z by the rule, from x alone, with a\n"
     .. "fixed seed, and gives the fitted map; points gives Z itself.\n"
     .. "M is the number of landmarks, less what the core leaves out (core 'truncated'). Columns fall\n"
     .. "with the eigenvalues of k(Z, Z). phi.points, phi.rank, phi.info say what was chosen and kept;\n"
     .. "info.warning that the core is ill conditioned. phi:residual(x) is the share of the trace of\n"
     .. "k(x, x) that the features miss. Gradients flow to x in phi(x), not through the fit.\n"
     .. "Fit: the rule, and O(m^2 d + m^3) in f64. A call: n m kernels and 2 n m M flops.",
  ref = "Williams & Seeger 2001, Using the Nystrom Method to Speed Up Kernel Machines",
  caps = "biased fitted",
  options = {
    { "kernel", "string|table", "gaussian", 'a name, {"matern", nu=0.5}, or what fv.kernel gave' },
    { "landmarks", "integer", 256, "number m of landmarks", lo = 1 },
    { "rule", "string|table", "uniform",
        'of choosing them: a name of fv.landmarks, {"kmeans", iterations=9}' },
    { "core", "string|table", "truncated", 'a name of fv.inverse, {"ridge", lambda=1e-3}' },
    { "seed", "integer", 1, "of the rule" },
    { "points", "tensor", nil, "the landmarks themselves, (m, d)" }
  },
  example = 'phi = fv.map("nystroem", {kernel={"gaussian", scale=0.2}, landmarks=256}):fit(x); phi(x)',
  build = build
}
