--- fv.inverse(name, options) -> inverse: pseudoinverses of landmark matrices, by a method chosen by name
--- Z, info = inverse(A (..., m, m), {symmetric=}): Z (..., m, m) is close to A^-1 where A is well
--- conditioned and damped where it is not. With symmetric=true A is taken as symmetric positive
--- semidefinite (a Gram matrix), and so is Z. info.rank says how much was inverted: the number of
--- singular values kept, or tr(A Z), the sum of their shares in [0, 1]; the smallest of a batch.
--- info.method is the name, info.warning says so in words where less than half was. Gradients flow.
--- Example: Z, info = fv.inverse("truncated", {rcond=1e-6})(fv.kernel("gaussian")(x), {symmetric=true})

local options = require "fovea.options"
local registry = require "fovea.registry"

local declared = options.declare({
  { "symmetric", "boolean", false, "A is symmetric positive semidefinite" }
}, "inverse", 1)

local function finish(object, entry)
  local name, invert = entry.name, object.invert
  object.call = function(_, A, given, ...)
    if select("#", ...) > 0 then error(name .. ": expected A and options, got more", 3) end
    if options.type(A) ~= "tensor" then
      error(("%s: A: expected a tensor (..., m, m), got %s"):format(name, A == nil and "no value"
            or options.type(A)), 3)
    elseif A:ndim() < 2 or A:size(-1) ~= A:size(-2) then
      error(("%s: A: expected (..., m, m), got (%s)"):format(name, table.concat({ A:shape() }, ",")), 3)
    end
    local m, opt = A:size(-1), options.read(declared, given, name, 4)
    local Z, rank = invert(A, opt.symmetric)
    local info = { method = name, rank = rank }
    if not rank then
      local share = (A * Z:t()):sum(-1):sum(-1)
      info.rank = share:numel() > 0 and share:min():item() or 0
    end
    if info.rank < m / 2 then
      info.warning = ("ill conditioned: %.4g of %d directions inverted; landmarks are nearly dependent")
                     :format(info.rank, m)
    end
    return Z, info
  end
end

return registry.new { kind = "inverse", folder = "fovea.inverses", finish = finish }
