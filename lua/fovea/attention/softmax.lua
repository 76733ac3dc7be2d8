--- o = softmax(scale q k') v

local fv = require "fovea"

local op = fv.ops.softmax_attention
local call = {}
for i, o in ipairs(op.options) do call[i] = o end
for _, a in ipairs(op.inputs) do
  if a.optional then
    call[#call + 1] = { a.name, "tensor|number", nil, "optional input of the operator; see its signature" }
  end
end
call[#call + 1] = require "fovea.cache".option

return {
  name = "softmax",
  doc = "Exact softmax attention; the options of a call are the operator's.",
  ref = op.ref,
  caps = "causal streaming grouped linear_in_v order_equivariant rows_sum_to_one nonneg exact",
  call = call,
  example = 'o = fv.attention("softmax")(q, k, v, {causal=true})',
  build = function()
    return {
      attend = function(q, k, v, c) return (fv.softmax_attention(q, k, v, c)), { path = "exact" } end,
      cost = function(_, sizes) return op:cost(sizes) end
    }
  end
}
