--- mean (y - target)^2

local layer = require "fovea.layer"
local options = require "fovea.options"

local list = options.declare({
  { "reduce", "string", "mean", "mean, sum, or one square an element", choices = { "mean", "sum", "none" } }
}, "mse", 1)

local function mse(y, target, given)
  local opt = options.read(list, given, "mse", 3)
  local l = { name = "mse", path = "" }
  if options.type(y) ~= "tensor" or not y:dtype():find "^f" then layer.bad(l, "y", "f32 or f64 (...)", y) end
  if layer.what(target) ~= layer.what(y) then
    layer.bad(l, "target", layer.what(y) .. " like y", target)
  end
  if y:numel() == 0 then error("mse: y: expected at least one element, got " .. layer.shape(y), 2) end
  local d = (y - target):square()
  if opt.reduce == "none" then return d end
  return opt.reduce == "sum" and d:sum() or d:mean()
end

return {
  name = "mse",
  doc = "fv.nn.mse(y (...), target (...), {reduce=}) -> loss: the mean of (y - target)^2.",
  call = list,
  example = "loss = fv.nn.mse(f(x), y)",
  apply = mse,
  build = function() return mse end
}
