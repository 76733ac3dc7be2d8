--- o_i = the softmax average over the m keys query i weighs most

local fv = require "fovea"
local heads = require "fovea.heads"

return {
  name = "topm",
  doc = "Control: exact attention restricted to the m largest weights of each row.\n"
     .. "No method with m weights in a row covers more of the exact ones. It is computed from\n"
     .. "the exact matrix, in time O(n^2).",
  caps = "causal streaming grouped linear_in_v order_equivariant nonneg",
  options = {
    { "keep", "integer", 64, "weights kept in each row", lo = 1 },
    { "renormalize", "boolean", true, "divide by what was kept, so that the row sums to 1" }
  },
  call = {
    { "causal", "boolean", false, "hide the keys after each query" },
    { "key_length", "integer|tensor", nil, "number of valid keys" },
    { "scale", "number", nil, "factor of q.k; 1/sqrt(d) unless given" },
    require "fovea.cache".option
  },
  example = 'o = fv.attention("topm", {keep=64})(q, k, v)',
  build = function(opt)
    return {
      attend = function(q, k, v, c)
        local A = fv.softmax_attention(q, k, fv.eye(k:size(-2), { dtype = q:dtype() }), c)
        local keep = math.min(opt.keep, A:size(-1))
        local values, at = A:topk(keep, -1)
        if opt.renormalize then
          local sum = values:sum(-1):unsqueeze(-1)
          values = values / fv.where(sum:gt(0), sum, 1)
        end
        local W = fv.zeros({ A:shape() }, { dtype = A:dtype() }):scatter_add(-1, at, values)
        if c.key_length then v = heads.valid(v, c.key_length, "topm") end
        return W:matmul(heads.match(v, q)), { path = "control", keep = keep }
      end,
      cost = function(_, s)
        local all = fv.ops.softmax_attention:cost { n = s.n, m = s.m, d = s.d, e = s.m }
        all.flops = all.flops + 2 * s.n * s.m * s.e
        return all
      end
    }
  end
}
