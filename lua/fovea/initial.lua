-- First values of parameters.
--
-- initial(init, stream, shape, dtype) -> tensor, where init is
--   a number     normal draws of this standard deviation
--   a name       "zeros", "ones", "normal" (0.02), "lecun", "xavier", "kaiming"
--   { name, gain = }    the same times gain, for projections scaled by depth
--   { fill = x }        x everywhere
--   a function   init(stream, shape, dtype) -> tensor
-- The fans are those of a weight (outputs, inputs): the last size is the fan in.

local core = require "fovea.core"

--- Standard deviations.
local deviation = {
  normal = function() return 0.02 end,
  lecun = function(_, inputs) return inputs ^ -0.5 end,
  xavier = function(outputs, inputs) return (2 / (inputs + outputs)) ^ 0.5 end,   -- Glorot & Bengio 2010
  kaiming = function(_, inputs) return (2 / inputs) ^ 0.5 end                     -- He et al. 2015
}

local function fans(shape)
  local outputs = 1
  for i = 1, #shape - 1 do outputs = outputs * shape[i] end
  return outputs, shape[#shape] or 1
end

return function(init, stream, shape, dtype)
  local like = { dtype = dtype }
  if type(init) == "function" then return init(stream, shape, dtype) end
  local gain = 1
  if type(init) == "table" then
    if init.fill then return core.full(shape, init.fill, like) end
    init, gain = init[1], init.gain or 1
  end
  if init == "zeros" then return core.zeros(shape, like) end
  if init == "ones" then return core.full(shape, gain, like) end
  local std = init
  if type(init) ~= "number" then
    if not deviation[init] then
      error(("init: expected a number or one of zeros, ones, normal, lecun, xavier, kaiming, got %s"):format(
            tostring(init)), 0)
    end
    std = deviation[init](fans(shape))
  end
  local sizes = table.move(shape, 1, #shape, 1, {})
  sizes[#sizes + 1] = like
  return stream:normal(table.unpack(sizes)) * (std * gain)
end
