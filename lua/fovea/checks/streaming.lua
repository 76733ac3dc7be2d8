--- f(x_1 .. x_n) = f(x_1 .. x_a), f(x_a+1 .. x_n | state)

local fv = require "fovea"

return {
  name = "streaming",
  doc = "Pieces with the state carried on give what one pass gives.\n"
     .. "Three pieces; outputs and a rule's last state. figure: largest relative difference, f64.",
  kinds = "attention rule",
  build = function()
    return {
      applies = function(s) return s.caps.streaming == true, "its caps do not say streaming" end,
      test = function(s)
        local n = 20
        local x = s:draw { n = n }
        local whole, parts, state = s:call(x, s.pieces), {}, nil
        for _, range in ipairs { { 1, 7 }, { 8, 8 }, { 9, n } } do
          local piece = {}
          for i, y in ipairs(x) do
            local axis = s:tokens(i)
            piece[i] = axis and y:slice(axis, range[1], range[2]) or y
          end
          parts[#parts + 1], state = s:apply(piece, { state = state })
        end
        local y = s:parts(fv.cat(parts, -2), state)
        return { figure = s:gaps(y, whole), bound = 1e-11 }
      end
    }
  end
}
