--- Rows of named columns, shown aligned, written as CSV or as an HTML table.
---
---   local g = grid.new { { "method" }, { "error", "%.3f" } }
---   g:add { method = "uniform", error = 0.98 }

local grid = {}
grid.__index = grid

--- columns: { name, format of numbers (default %.4g), title (default name) }.
function grid.new(columns)
  return setmetatable({ columns = columns }, grid)
end

function grid:add(row) self[#self + 1] = row end

local function cell(row, c)
  local v = row[c[1]]
  if v == nil then return "" end
  if type(v) == "number" then
    if v ~= v then return "nan" end
    return math.type(v) == "integer" and tostring(v) or (c[2] or "%.4g"):format(v)
  end
  return tostring(v)
end

local function width(s) return utf8.len(s) or #s end

--- Text with columns aligned: numbers to the right, words to the left.
function grid:text()
  local w, lines = {}, {}
  for j, c in ipairs(self.columns) do
    w[j] = width(c[3] or c[1])
    for _, row in ipairs(self) do w[j] = math.max(w[j], width(cell(row, c))) end
  end
  local function line(get, right)
    local out = {}
    for j, c in ipairs(self.columns) do
      local s = get(c)
      local pad = (" "):rep(w[j] - width(s))
      out[j] = right(c) and pad .. s or s .. pad
    end
    return (table.concat(out, "  "):gsub("%s+$", ""))
  end
  local numeric = {}
  for _, c in ipairs(self.columns) do
    for _, row in ipairs(self) do
      if type(row[c[1]]) == "number" then numeric[c] = true end
    end
    if c.right then numeric[c] = true end
  end
  lines[1] = line(function(c) return c[3] or c[1] end, function(c) return numeric[c] end)
  for _, row in ipairs(self) do
    if row.rule then lines[#lines + 1] = ("─"):rep(width(lines[1])) end
    lines[#lines + 1] = line(function(c) return cell(row, c) end, function(c) return numeric[c] end)
  end
  return table.concat(lines, "\n")
end

--- CSV with every digit; fields with commas or quotes are quoted.
function grid:csv(names)
  local function field(v)
    if v == nil then return "" end
    if type(v) == "number" then
      return math.type(v) == "integer" and tostring(v) or ("%.17g"):format(v)
    end
    v = tostring(v)
    return v:find '[",\n]' and '"' .. v:gsub('"', '""') .. '"' or v
  end
  local lines = { table.concat(names, ",") }
  for _, row in ipairs(self) do
    local out = {}
    for j, n in ipairs(names) do out[j] = field(row[n]) end
    lines[#lines + 1] = table.concat(out, ",")
  end
  return table.concat(lines, "\n") .. "\n"
end

--- "[lo, hi]", both by the format f, or "" where there is none.
function grid.interval(f, lo, hi) return lo and ("[" .. f .. ", " .. f .. "]"):format(lo, hi) or "" end

function grid.escape(s)
  return (tostring(s):gsub("[&<>\"]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }))
end

function grid:html()
  local out = { "<table><thead><tr>" }
  for _, c in ipairs(self.columns) do out[#out + 1] = "<th>" .. grid.escape(c[3] or c[1]) .. "</th>" end
  out[#out + 1] = "</tr></thead><tbody>"
  for _, row in ipairs(self) do
    out[#out + 1] = row.rule and '<tr class="rule">' or "<tr>"
    for _, c in ipairs(self.columns) do
      local num = type(row[c[1]]) == "number" or c.right
      out[#out + 1] = (num and '<td class="n">' or "<td>") .. grid.escape(cell(row, c)) .. "</td>"
    end
    out[#out + 1] = "</tr>"
  end
  out[#out + 1] = "</tbody></table>"
  return table.concat(out)
end

return grid
