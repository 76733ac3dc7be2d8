--- max |w_i.w_j| / (|w_i||w_j|), i and j in one block of d

local fv = require "fovea"

return {
  name = "draws_orthogonal",
  doc = "Rows of a block of d are orthogonal.\n"
     .. "For what claims orthogonal. figure: the largest cosine within a block over 20 draws, f64.",
  kinds = "sampler",
  build = function()
    return {
      applies = function(s) return s.caps.orthogonal == true, "its caps do not say orthogonal" end,
      test = function(s)
        local d, worst, few = s.opt.d, 0, s:all():slice(1, 1, 20)
        local q = few / few:square():sum(-1):sqrt():unsqueeze(-1)
        for from = 1, s.opt.rows, d do
          local b = q:slice(2, from, math.min(from + d - 1, s.opt.rows))
          local gram = b:matmul(b:transpose(-1, -2))
          local eye = fv.eye(b:size(2), { dtype = "f64" })
          worst = math.max(worst, (gram - eye):abs():max():item())
        end
        return { figure = worst, bound = 1e-6 }
      end
    }
  end
}
