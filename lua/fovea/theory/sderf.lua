--- One term: f(w,x) f(w,y), f = D exp(w'Aw + w'(I-4A)^(1/2) x - |x|^2/2), A diagonal, x rotated

local special = require "fovea.special"

return {
  name = "sderf", vectors = true,
  doc = "Symmetric dense-exponential features (FAVOR#).\n"
     .. "A = diag(a), x and y in the coordinates where A is diagonal: oprf coordinate\n"
     .. "by coordinate, so that log moments add. A transform that\n"
     .. "keeps x.y (aderf, saderf) followed by oprf is oprf at the transformed x and y.",
  ref = "Likhosherstov et al. 2023, arXiv:2302.00787",
  own_law = "a closed form exists for independent rows only",
  options = {
    { "a", "table|tensor", nil, "diagonal of A, d numbers below 1/8", required = true },
    { "Q", "tensor", nil, "(d, d), orthogonal: A is diagonal in the coordinates Q'x; else Q = 1" }
  },
  example = 'fv.theory("sderf", {m=64, x={1,0.2}, y={1,0.1}, a={-0.3,-0.01}})',
  build = function(opt)
    if type(opt.a) ~= "table" then opt.a = opt.a:reshape(-1):totable() end
    for i, a in ipairs(opt.a) do
      if type(a) ~= "number" or a >= 1 / 8 then
        error(("sderf: option 'a': expected numbers below 1/8, got %s at %d"):format(tostring(a), i), 0)
      end
    end
    return {}
  end,
  moments = function(_, g, opt)
    if #opt.a ~= g.d then error(("sderf: option 'a': expected d=%d numbers, got %d"):format(g.d, #opt.a),
      0) end
    local x, y = g.x, g.y
    if opt.Q then
      local fv = require "fovea"
      local function turned(v) return opt.Q:to "f64":t():matmul(fv.tensor(v, { dtype = "f64" })):totable() end
      x, y = turned(x), turned(y)
    end
    local log = 0
    for i, a in ipairs(opt.a) do
      local z2 = (x[i] + y[i]) ^ 2
      log = log + math.log(1 - 4 * a) - math.log(1 - 8 * a) / 2 + (2 * (1 - 4 * a) / (1 - 8 * a) - 1) * z2
    end
    return 1, special.expm1(log)
  end
}
