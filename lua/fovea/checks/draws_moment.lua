--- E exp(w.z) = exp(|z|^2/2), or 0F1(; d/2; d |z|^2/4) for norms sqrt(d)

local fv = require "fovea"
local special = require "fovea.special"

return {
  name = "draws_moment",
  doc = "E exp(w.z) over the rows of a sampler is what unbiased positive features rest on.\n"
     .. "Along e_1, e_d, (1,..,1)/sqrt(d) and (1,-1,1,..)/sqrt(d), over all rows and in the first\n"
     .. "alone, it is exp(1/2), or 0F1(; d/2; d/4) for norms sqrt(d). figure: the largest distance in\n"
     .. "standard errors.",
  kinds = "sampler",
  build = function()
    return {
      test = function(s)
        local d, W = s.opt.d, s:all()
        local N = W:size(1)
        local Z = fv.zeros({ d, 4 }, { dtype = "f64" })
        for i = 1, d do
          Z:set(i, 3, d ^ -0.5)
          Z:set(i, 4, (-1) ^ i * d ^ -0.5)
        end
        Z:set(1, 1, 1)
        Z:set(d, 2, 1)
        local E = W:matmul(Z):exp()                                          -- (draws, rows, 4)
        local want = math.exp(s.norms == "sqrt_d" and special.log_0F1(d / 2, d / 4) or 0.5)
        local worst, note = 0, nil
        for _, x in ipairs { E:mean(2), E:slice(2, 1, 1):squeeze(2) } do
          local mean, se = x:mean(1), (x:var(1) / N):sqrt()
          for j = 1, 4 do
            local z = math.abs(mean:get(j) - want) / (se:get(j) + 1e-12)
            if z > worst then
              worst, note = z, ("%.4g for %.4g (%+.1f %%), direction %d"):format(mean:get(j), want,
                                100 * (mean:get(j) / want - 1), j)
            end
          end
        end
        if not s.caps.unbiased and s.norms ~= "sqrt_d" then
          return { figure = worst, note = (note or "") .. "; its caps do not say unbiased" }
        end
        return { figure = worst, bound = 4.5, note = note }
      end
    }
  end
}
