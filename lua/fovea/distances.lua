--- Squared distances between points, for rules that pick landmarks one at a time.

local distances = {}

--- |x - c|^2 (b, n) from the rows x (b, n, d) to the one that index (b) names in each.
function distances.to_row(x, index)
  local b, d = x:size(1), x:size(3)
  local c = x:gather(-2, index:reshape { b, 1, 1 }:expand { b, 1, d })
  return ((x - c) ^ 2):sum(-1)
end

--- The nearest of the centres c (b, m, d) to each row of x (b, n, d): i64 (b, n).
function distances.nearest(x, c)
  return ((c * c):sum(-1):unsqueeze(-2) - 2 * x:matmul(c:t())):argmin(-1)
end

return distances
