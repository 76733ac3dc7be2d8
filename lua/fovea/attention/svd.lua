--- o = A_r v, A_r the best matrix of rank r next to A = softmax(scale q k')

local fv = require "fovea"
local heads = require "fovea.heads"

--- An orthonormal basis (n, r + 16) of the rows' leading left subspace, by block power
--- iteration (Halko, Martinsson & Tropp 2011) until a step adds less than 1e-7 of
--- |A|^2; what is then missing of the best error is of that order.
local function leading(A, r)
  local n, m = A:size(-2), A:size(-1)
  local width = math.min(n, m, r + 16)
  local At, total, held = A:t(), (A * A):sum():item(), -1
  local Q = fv.qr(A:matmul(fv.rng(r):stream "svd":normal(m, width, { dtype = A:dtype() })))
  for _ = 1, 60 do
    local B = At:matmul(Q)
    local now = (B * B):sum():item()
    if now - held < 1e-7 * total then break end
    held = now
    Q = fv.qr(A:matmul((fv.qr(B))))
  end
  return Q
end

return {
  name = "svd",
  doc = "Control: the best approximation of the attention matrix of a given rank.\n"
     .. "No method of that rank has a smaller Frobenius error of the matrix. It is computed\n"
     .. "from the exact matrix, in time O(n^2 r) per step of a block power iteration.",
  ref = "Eckart & Young 1936",
  caps = "grouped linear_in_v order_equivariant",
  options = { { "rank", "integer", 64, "rank r", lo = 1 } },
  acausal = "the factors mix all rows",
  call = {
    { "causal", "boolean", false, "false: there is no causal form" },
    { "key_length", "integer|tensor", nil, "number of valid keys" },
    { "scale", "number", nil, "factor of q.k; 1/sqrt(d) unless given" }
  },
  example = 'o = fv.attention("svd", {rank=64})(q, k, v)',
  build = function(opt)
    return {
      attend = function(q, k, v, c)
        local A = fv.softmax_attention(q, k, fv.eye(k:size(-2), { dtype = q:dtype() }), c)
        local r = math.min(opt.rank, A:size(-1), A:size(-2))
        local Q = leading(A, r)
        local U, S, Vt = fv.svd(Q:t():matmul(A))
        if c.key_length then v = heads.valid(v, c.key_length, "svd") end
        local right = Vt:slice(-2, 1, r):matmul(heads.match(v, q))
        return Q:matmul(U:slice(-1, 1, r) * S:slice(-1, 1, r):unsqueeze(-2)):matmul(right),
               { path = "control", rank = r }
      end,
      cost = function(_, s)
        local all = fv.ops.softmax_attention:cost { n = s.n, m = s.m, d = s.d, e = s.m }
        local short, long = math.min(s.n, s.m), math.max(s.n, s.m)
        local r = math.min(opt.rank + 16, short)   -- about eight steps of the iteration
        all.flops = all.flops + 32 * long * short * r + 20 * long * r ^ 2 + 2 * opt.rank * (s.n + s.m) * s.e
        return all
      end
    }
  end
}
