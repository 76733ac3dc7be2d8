--- Squared distances between points, for rules that pick landmarks one at a time.

local distances = {}

--- A function of index (b) that gives |x - c|^2 (b, n) from the rows x (b, n, d) to the row c
--- that index names in each, as |x|^2 + |c|^2 - 2 x.c, at least 0.
function distances.to_row(x)
  local b, d = x:size(1), x:size(3)
  local norms = (x * x):sum(-1)
  return function(index)
    index = index:reshape { b, 1 }
    local c = x:gather(-2, index:unsqueeze(-1):expand { b, 1, d })
    return (norms + norms:gather(-1, index) - 2 * x:matmul(c:t()):squeeze(-1)):maximum(0)
  end
end

--- The nearest of the centres c (b, m, d) to each row of x (b, n, d): i64 (b, n).
function distances.nearest(x, c)
  return ((c * c):sum(-1):unsqueeze(-2) - 2 * x:matmul(c:t())):argmin(-1)
end

return distances
