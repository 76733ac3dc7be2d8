--- Rows of numbers from a CSV file.

local fv = require "fovea"
local corpus = require "fovea.corpus"

local sets = {
  digits = { package = "python3-sklearn", label = 65, scale = 16,
             file = "/usr/lib/python3/dist-packages/sklearn/datasets/data/digits.csv.gz" }
}

--- The fields of a line; quotes may surround a field.
local function fields(line, separator)
  local out = {}
  for f in (line .. separator):gmatch("([^" .. separator .. "]*)" .. separator) do
    out[#out + 1] = f:match '^%s*"?(.-)"?%s*$'
  end
  return out
end

--- Rows as one flat list, the number of columns, and the header if the first line is one.
local function parse(text, separator, what, who)
  local flat, lines, width, header, number = {}, {}, nil, nil, 0
  for line in text:gmatch "([^\r\n]*)\r?\n?" do
    number = number + 1
    if line:find "%S" then
      local f = fields(line, separator)
      width = width or #f
      if #f ~= width then
        error(("%s: %s, line %d: expected %d fields, got %d"):format(who, what, number, width, #f), 0)
      end
      local values = {}
      for j, s in ipairs(f) do values[j] = tonumber(s) end
      local complete = true
      for j = 1, width do complete = complete and values[j] ~= nil end
      if complete then
        table.move(values, 1, width, #flat + 1, flat)
        lines[#lines + 1] = line
      elseif #lines == 0 and not header then
        header = f
      else
        for j, s in ipairs(f) do
          if not values[j] then
            error(("%s: %s, line %d, field %d: expected a number, got %q"):format(who, what, number, j,
                  s:sub(1, 30)), 0)
          end
        end
      end
    end
  end
  if #lines == 0 then error(("%s: %s holds no row of numbers"):format(who, what), 0) end
  return flat, width, header, lines
end

--- The column that 'label' names: a number, or a name of the header; 0 for none.
local function column(label, width, header, what, who)
  if label == "" then return 0 end
  local j = math.tointeger(tonumber(label))
  for i, name in ipairs(header or {}) do if name == label then j = i end end
  if not j or j < 1 or j > width then
    error(("%s: option 'label': expected a column of %s: 1 .. %d%s, got '%s'"):format(who, what, width,
          header and " or a name of its header, " .. table.concat(header, ", ") or "", label), 0)
  end
  return j
end

return {
  name = "csv",
  doc = "Rows of numbers: x f32 (batch, columns), and y i64 (batch) where 'label' names a column of\n"
     .. "whole numbers: classes, counted from 1 (value - smallest + 1). A first line that is not all\n"
     .. "numbers is the header. The hash of a line decides its split. Files may be gzipped.\n"
     .. "Set digits: 1797 images of 8 x 8, values 0 .. 1 and their digit.",
  ref = "set digits: UCI Optical Recognition of Handwritten Digits, as in scikit-learn (BSD-3)",
  options = {
    { "path", "string", "", "file to read; the set unless given" },
    { "set", "string", "digits", "digits is in Debian's package python3-sklearn", choices = { "digits" } },
    { "label", "string", "", "column of classes: its number or its name in the header" },
    { "separator", "string", ",", "between fields", choices = { ",", ";", "\t", " " } }
  },
  call = { { "batch", "integer", 16, "rows", lo = 1, hi = 1048576 } },
  example = 'd = fv.data("csv", {path="table.csv", label="class"}); b = d:batch("train", 1); print(b.x, b.y)',
  build = function(opt, name)
    local text, what = corpus.text(opt, sets, name)
    local set = opt.path == "" and sets[opt.set] or {}
    local flat, width, header, lines = parse(text, opt.separator, what, name)
    local j = column(opt.label == "" and tostring(set.label or "") or opt.label, width, header, what, name)
    local X, y = fv.tensor(flat, { dtype = "f64" }):reshape(#lines, width), nil
    if (X - X):eq(0):all():item() == 0 then error(("%s: %s holds nan or inf"):format(name, what), 0) end
    if j > 0 then
      local c = X:slice(2, j, j):reshape(#lines)
      y = c:to "i64"
      if y:to("f64"):eq(c):all():item() == 0 then
        error(("%s: %s: the labels in column %d are not whole numbers"):format(name, what, j), 0)
      end
      y = y - y:min() + 1
      local parts = {}
      if j > 1 then parts[#parts + 1] = X:slice(2, 1, j - 1) end
      if j < width then parts[#parts + 1] = X:slice(2, j + 1, width) end
      if #parts == 0 then error(("%s: %s has no column beside the labels"):format(name, what), 0) end
      X = fv.cat(parts, 2)
    end
    X = (X / (set.scale or 1)):to "f32"
    local rows = corpus.rows(#lines, function(i) return lines[i] end)
    return { sizes = rows.sizes, header = header or false, columns = X:size(2),
             classes = y and y:max():item() or nil,
      draw = function(split, stream, v)
        local list = rows.draw(split, stream, v.batch, name)
        local at = corpus.ids(list, #list)
        return { x = X:index_select(1, at), y = y and y:index_select(1, at) }
      end }
  end
}
