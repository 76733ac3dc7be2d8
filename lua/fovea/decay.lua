--- Gates that are constants of a head.

local fv = require "fovea"

--- Log gates for x (..., H, n, d): (H, n), or (n) where there are no heads. gate(h, H) gives
--- head h = 0 .. H-1 its gate.
return function(x, gate)
  local n, H = x:size(-2), x:ndim() > 2 and x:size(-3) or 1
  local list = {}
  for h = 0, H - 1 do list[h + 1] = gate(h, H) end
  local g = fv.tensor(list, { dtype = x:dtype() })
  return x:ndim() > 2 and g:reshape(H, 1):expand(H, n) or g:expand(n)
end
