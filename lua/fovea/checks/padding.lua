--- |f(padded by NaN, key_length) - f(cut)|

local fv = require "fovea"

return {
  name = "padding",
  doc = "Keys beyond key_length do not count, whatever they hold.\n"
     .. "With NaN there the result is that of the inputs cut to length, for every entry of the batch.\n"
     .. "figure: largest relative difference, f64.",
  kinds = "attention operator",
  build = function()
    return {
      applies = function(s)
        if s.kind == "attention" then return s.takes.key_length == true, "no option key_length" end
        for i, a in ipairs(s.inputs) do
          if a.name == "key_length" then s.length = i end
        end
        return s.length ~= nil, "no input key_length"
      end,
      test = function(s)
        local worst = 0
        local settings = s.takes and s.takes.causal and { {}, { causal = true } } or { {} }
        for _, o in ipairs(settings) do
          local n = o.causal and 9 or nil
          local x = s:draw { n = n }
          if s.kind == "operator" then x[s.length] = false end
          local m, cut = x[2]:size(-2), { {}, {} }
          local lengths = { m - 2, m // 2 }
          local padded = table.move(x, 1, #x, 1, {})
          for i, a in ipairs(s.inputs) do
            if x[i] and a.dims:sub(1, 1) == "m" then padded[i] = x[i]:clone() end
          end
          for b = 1, 2 do
            for i, a in ipairs(s.inputs) do
              cut[b][i] = x[i] and x[i]:slice(1, b, b)
              if x[i] and a.dims:sub(1, 1) == "m" then
                cut[b][i] = cut[b][i]:slice(-2, 1, lengths[b])
                padded[i]:slice(1, b, b):slice(-2, lengths[b] + 1, m):fill(0 / 0)
              end
            end
          end
          local given = { causal = o.causal }
          local L = fv.tensor(lengths, { dtype = "i64" })
          if s.kind == "operator" then padded[s.length] = L else given.key_length = L end
          local y = s:call(padded, given)[1]
          for b = 1, 2 do
            -- causal: queries are placed against all keys, so those of the valid rows are compared
            local rows = o.causal and lengths[b] or y:size(-2)
            local c = { table.unpack(cut[b]) }
            if o.causal then c[1] = c[1]:slice(-2, 1, rows) end
            local want = s:call(c, o)[1]
            worst = math.max(worst, s:gap(y:slice(1, b, b):slice(-2, 1, rows), want))
          end
        end
        return { figure = worst, bound = 1e-11, note = worst > 1e-11 and "padded keys count" or nil }
      end
    }
  end
}
