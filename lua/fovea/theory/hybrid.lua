--- One term: l Lambda cosh(w.z) + (1 - l) cos(u.(x - y)) / Lambda, l an estimate of theta/pi

local function part(name, law, g) return require("fovea.theory." .. name).moments(law, g) end

return {
  name = "hybrid", per = 2,
  doc = "Angular hybrid features: l hyperbolic + (1 - l) trig.\n"
     .. "l = 1/2 - sum_j sgn(t_j.x) sgn(t_j.y) / 2n has mean theta/pi: no variance at angle 0 and pi.\n"
     .. "m projections for each part; shared = true uses the same for both. 4m(n+1) features.",
  ref = "Choromanski et al. 2022, arXiv:2110.04367 (construction)",
  own_law = "a closed form exists for independent rows only",
  options = {
    { "signs", "integer", 8, "number n of sign projections", lo = 1 },
    { "shared", "boolean", false, "whether both parts use the same projections" }
  },
  example = 'fv.theory("hybrid", {d=8, m=16, xx=1, yy=1, xy=1, signs=8})',
  build = function() return {} end,
  -- l is shared by the m terms: its variance does not fall with m, yet multiplies what does,
  -- so the variance is that of one term over m.
  moments = function(law, g, opt)
    local cosine = g.xx * g.yy > 0 and g.xy / math.sqrt(g.xx * g.yy) or 0
    local p = math.acos(math.max(-1, math.min(1, cosine))) / math.pi
    local k = p * (1 - p) / opt.signs
    local _, hyp = part("hyperbolic", law, g)
    local _, trig = part("trig", law, g)
    local v = (p ^ 2 + k) * hyp + ((1 - p) ^ 2 + k) * trig
    if opt.shared then v = v + 2 * (p * (1 - p) - k) * (math.cos(g.xx - g.yy) - 1) end
    return 1, v
  end
}
