--- max |change of o_s|, s < t, when tokens t and later change

local fv = require "fovea"

return {
  name = "causal",
  doc = "Outputs do not depend on later tokens.\n"
     .. "Keys, values and queries from t on are replaced and made three times larger; rows before t\n"
     .. "must not change. figure: their largest change in f64, relative; rounding is allowed and said.\n"
     .. "A method without a causal form must raise.",
  kinds = "attention rule operator",
  build = function()
    return {
      applies = function(s)
        if s.kind == "attention" then return s.made or not s.acausal, s.acausal end
        return s.caps.causal == true, "its caps do not say causal"
      end,
      test = function(s)
        if s.acausal then
          local good, why = pcall(s.call, s, s:draw {}, { causal = true })
          local text = tostring(why):gsub("^%S-%.lua:%d+: ", "")
          return { figure = good and math.huge or 0, bound = 0,
                   note = good and "takes causal=true, has no causal form" or "refuses: " .. text }
        end
        local n, worst, bits = 16, 0, true
        local o = (s.kind == "attention" or s.switch) and { causal = true } or {}
        local x = s:draw { n = n, purpose = "first" }
        local y = s:call(x, o)[1]
        for _, t in ipairs { 2, 9, n } do
          local z = s:draw { n = n, purpose = "second one" }
          for i = 1, #x do
            local axis = z[i] and s:tokens(i)
            if not axis then z[i] = x[i]
            else
              local big = s.kind ~= "rule" and s.inputs[i].name:find "^[qkv]$" and 3 or 1
              local later = z[i]:slice(axis, t, n)
              z[i] = fv.cat({ x[i]:slice(axis, 1, t - 1), later * big }, axis)
            end
          end
          local after, axis = s:call(z, o)[1], -2
          if y:ndim() < 2 then axis = -1 end
          local was, now = y:slice(axis, 1, t - 1), after:slice(axis, 1, t - 1)
          bits = bits and was:eq(now):all():item() == 1
          worst = math.max(worst, s:gap(now, was))
        end
        return { figure = worst, bound = 1e-12, note = bits and "the same bits" or worst <= 1e-12
                 and "not the same bits: rounding" or "earlier rows see later tokens" }
      end
    }
  end
}
