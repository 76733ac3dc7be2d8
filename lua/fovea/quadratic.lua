--- All products x_i x_j of a row with itself, in two packings.

local fv = require "fovea"

local quadratic = {}

--- x (..., d) -> (..., d^2), or (..., d(d+1)/2) with x_i x_j, i < j, times sqrt(2): products of
--- two such rows are (x.y)^2 both ways.
function quadratic.products(x, symmetric)
  local d, shape = x:size(-1), { x:shape() }
  if not symmetric then
    shape[#shape] = d * d
    return (x:unsqueeze(-1) * x:unsqueeze(-2)):reshape(shape)
  end
  local I, J, c = {}, {}, {}
  for i = 1, d do
    for j = i, d do I[#I + 1], J[#J + 1], c[#c + 1] = i, j, i == j and 1 or 2 ^ 0.5 end
  end
  return x:index_select(-1, I) * x:index_select(-1, J) * fv.tensor(c, { dtype = x:dtype() })
end

function quadratic.width(d, symmetric) return symmetric and d * (d + 1) // 2 or d * d end

return quadratic
