--- Curves for fovea.plot out of rows: one for each name, in the order in which names come.
---
---   curves(rows, function(row) return name, x, y, lo, hi end)
--- lo and hi may be left out for all rows; a row without a name is in no curve.

return function(rows, point)
  local lines, by = {}, {}
  for _, row in ipairs(rows) do
    local name, x, y, lo, hi = point(row)
    if name then
      local l = by[name]
      if not l then
        l = { name = name, x = {}, y = {}, lo = lo and {}, hi = hi and {} }
        by[name], lines[#lines + 1] = l, l
      end
      local j = #l.x + 1
      l.x[j], l.y[j] = x, y
      if lo then l.lo[j], l.hi[j] = lo, hi end
    end
  end
  return lines
end
