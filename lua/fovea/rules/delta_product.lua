--- J delta steps a token: S <- S + beta_tj k_tj (v_tj - S'k_tj)' for j = 1 .. J

local fv = require "fovea"
local contraction = require "fovea.contraction"

--- (..., n, j, width) -> (..., n*j, width); last = 0 where a token is one number.
local function flat(x, last)
  local shape = { x:shape() }
  local at = #shape - 1 - last
  shape[at] = shape[at] * table.remove(shape, at + 1)
  return x:reshape(shape)
end

return {
  name = "delta_product",
  doc = "DeltaProduct: several delta steps a token, whose transitions multiply to richer ones.\n"
     .. "S <- e^{g_t} S_{t-1};  for j = 1 .. J: S <- S + beta_tj k_tj (v_tj - S'k_tj)';  S_t = S,\n"
     .. "o_t = S_t'q_t. beta in (0, 2); J = 1 is the (gated) delta rule. Time 6nJde flops.\n"
     .. "beta |k|^2 > 2 is warned of once.",
  ref = "Siems et al. 2025, arXiv:2502.10297",
  caps = "causal streaming linear_in_v",
  sig = "q(n,d) k(n,j,d) v(n,j,e) beta(n,j) g?(n) -> o(n,e) S(d,e)",
  kernel = "erase_write_rule",
  example = 'o, S = fv.rule("delta_product")(q, k, v, beta)',
  build = function()
    return {
      run = function(x, S, recur)
        local J = x.k:size(-2)
        local function spread(y, axis)              -- y at the step that counts, 0 at the others
          local shape = { y:shape() }
          table.insert(shape, #shape + 1 - axis, J - 1)
          return shape, y:unsqueeze(-1 - axis)
        end
        local rest, read = spread(x.q, 1)
        local q = fv.cat({ fv.zeros(rest, { dtype = x.q:dtype() }), read }, -2)
        local g
        if x.g then
          local shape, gate = spread(x.g, 0)
          g = flat(fv.cat({ gate, fv.zeros(shape, { dtype = x.g:dtype() }) }, -1), 0)
        end
        contraction(x.k, x.k, x.beta)
        local o, last = recur(flat(q, 1), flat(x.k, 1), flat(x.v, 1),
                              { beta = flat(x.beta, 0), g = g, s = S })
        local shape = { o:shape() }
        shape[#shape - 1] = x.q:size(-2)
        table.insert(shape, #shape, J)
        return o:reshape(shape):slice(-2, J, J):squeeze(-2), last
      end,
      cost = function(_, s)
        if not (s.n and s.j) then error("delta_product: cost: sizes 'n' and 'j' are required", 3) end
        return fv.ops.erase_write_rule:cost { n = s.n * s.j, d = s.d, e = s.e }
      end
    }
  end
}
