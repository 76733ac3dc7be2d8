-- Curves in Braille: a character is 2 columns by 4 rows of dots.

local braille = {}

--- The bit of the dot in column 1 or 2, row 1 (top) to 4.
local bits = { { 0x01, 0x02, 0x04, 0x40 }, { 0x08, 0x10, 0x20, 0x80 } }

--- Means of the finite values of 'list' in 'count' stretches of equal length; false where a
--- stretch has none.
local function resample(list, count)
  local out, n = {}, #list
  for c = 1, count do
    local from, to = (c - 1) * n // count + 1, math.max(c * n // count, (c - 1) * n // count + 1)
    local sum, m = 0, 0
    for i = from, math.min(to, n) do
      local v = list[i]
      if v == v and math.abs(v) < math.huge then sum, m = sum + v, m + 1 end
    end
    out[c] = m > 0 and sum / m
  end
  return out
end

--- Lines of 'wide' characters (fewer where the list is short) that draw the list, and the
--- lowest and the highest value drawn.
function braille.curve(list, wide, high)
  local columns = math.min(2 * wide, #list)
  local y, lo, hi = resample(list, columns), math.huge, -math.huge
  for _, v in ipairs(y) do
    if v then lo, hi = math.min(lo, v), math.max(hi, v) end
  end
  local rows, dots, before = 4 * high, {}, nil
  for r = 1, high do dots[r] = {} end
  for c, v in ipairs(y) do
    if v then
      local at = hi > lo and math.floor((hi - v) / (hi - lo) * (rows - 1) + 0.5) or rows - 1
      local a, b = at, at
      if before and math.abs(before - at) > 1 then     -- no gaps where it is steep
        if before < at then a = before + 1 else b = before - 1 end
      end
      for d = a, b do
        local line, cell = dots[d // 4 + 1], (c + 1) // 2
        line[cell] = (line[cell] or 0) | bits[(c - 1) % 2 + 1][d % 4 + 1]
      end
      before = at
    end
  end
  local lines = {}
  for r = 1, high do
    local out = {}
    for cell = 1, (columns + 1) // 2 do out[cell] = utf8.char(0x2800 + (dots[r][cell] or 0)) end
    lines[r] = table.concat(out)
  end
  return lines, lo, hi
end

return braille
