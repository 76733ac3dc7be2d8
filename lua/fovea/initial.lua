-- First values of parameters.
--
-- initial(init, stream, shape, dtype, who) -> tensor, where init is
--   a number     normal draws of this standard deviation
--   a name       "zeros", "ones", "normal" (0.02), "lecun", "xavier", "kaiming"
--   { name or number, gain = }    the same times gain, for projections scaled by depth
--   { fill = x }        x everywhere
--   a function   init(stream, shape, dtype) -> tensor
-- The fans are those of a weight (outputs, inputs): the last size is the fan in.
-- 'who' names the parameter in messages.

local core = require "fovea.core"
local options = require "fovea.options"

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

local function finite(x) return type(x) == "number" and x - x == 0 end

--- What a user's function made, if it is what a parameter can be.
local function made(x, shape, dtype, bad)
  local want = ("%s (%s)"):format(dtype, table.concat(shape, ","))
  local got = options.type(x)
  if got == "tensor" then got = ("%s (%s)"):format(x:dtype(), table.concat({ x:shape() }, ",")) end
  if got ~= want then bad(("the function to return a tensor %s, got %s"):format(want, got)) end
  return x:detach():clone()
end

return function(init, stream, shape, dtype, who)
  local like = { dtype = dtype }
  local function bad(text) error(("init of '%s': expected %s"):format(who, text), 0) end
  if type(init) == "function" then return made(init(stream, shape, dtype), shape, dtype, bad) end
  local gain = 1
  if type(init) == "table" then
    for key in pairs(init) do
      if key ~= 1 and key ~= "gain" and key ~= "fill" then
        bad(("{name, gain=}, got the unknown field '%s'"):format(tostring(key)))
      end
    end
    if finite(init.fill) then return core.full(shape, init.fill, like) end
    init, gain = init[1], init.gain or 1
    if not finite(gain) then bad("gain to be a finite number, got " .. tostring(gain)) end
  end
  if init == "zeros" then return core.zeros(shape, like) end
  if init == "ones" then return core.full(shape, gain, like) end
  local std = deviation[init] and deviation[init](fans(shape)) or init
  if not finite(std) or std < 0 then
    bad(("a standard deviation from 0, one of zeros, ones, normal, lecun, xavier, kaiming, {name, gain=} "
      .. "or a function, got %s"):format(tostring(init)))
  end
  local sizes = table.move(shape, 1, #shape, 1, {})
  sizes[#sizes + 1] = like
  return stream:normal(table.unpack(sizes)) * (std * gain)
end
