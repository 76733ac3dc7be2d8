--- Unit vectors towards the corners of a simplex, which two samplers share.

local fv = require "fovea"

--- S (d, d): rows of unit length with products -1/(d-1), in the first d-1 coordinates.
return function(d)
  local ones = fv.ones({ 1, d }, { dtype = "f64" })
  ones:set(1, d, 0)
  local S = (d / (d - 1)) ^ 0.5 * fv.eye(d, { dtype = "f64" }) - (d ^ 0.5 + 1) / (d - 1) ^ 1.5 * ones
  return fv.cat({ S:slice(1, 1, d - 1), ones / (d - 1) ^ 0.5 }, 1)
end
