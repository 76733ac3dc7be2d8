--- Rows of numbers from a CSV file.

local fv = require "fovea"
local corpus = require "fovea.corpus"

local sets = {
  digits = { package = "python3-sklearn", label = 65, scale = 16,
             file = "/usr/lib/python3/dist-packages/sklearn/datasets/data/digits.csv.gz" }
}

--- The fields of a line, or nil and why not; quotes may surround a field, "" is one inside.
local function fields(line, separator)
  local out, at, pad = {}, 1, separator == " " and "" or " *"
  repeat
    local from = line:match("^" .. pad .. '()"', at)
    local stop
    if from then
      local close = from
      repeat close = line:find('"', close + 1, true)
        local double = close and line:byte(close + 1) == 34
        if double then close = close + 1 end
      until not double
      if not close then return nil, "a quote does not end on its line" end
      out[#out + 1] = line:sub(from + 1, close - 1):gsub('""', '"')
      stop = line:match("^" .. pad .. "()", close + 1)
      if stop <= #line and line:sub(stop, stop) ~= separator then return nil, "text follows a closing quote" end
    else
      stop = line:find(separator, at, true) or #line + 1
      out[#out + 1] = line:sub(at, stop - 1):match "^%s*(.-)%s*$"
    end
    at = stop + 1
  until stop > #line
  return out
end

--- The number that s writes in decimals, or nil.
local function number(s) return s:find "^[+-]?%.?%d" and not s:find "[xX]" and tonumber(s) or nil end

local MOST = 3.4028234663852886e38       -- of f32

--- Rows as one flat list, the number of columns, and the header if the first line is one.
local function parse(text, separator, heading, what, who)
  local flat, lines, width, header, at, first = {}, {}, nil, nil, 0, nil
  local function bad(why, ...) error(("%s: %s, line %d"):format(who, what, at) .. why:format(...), 0) end
  for line in text:gmatch "([^\r\n]*)\r?\n?" do
    at = at + 1
    if line:find "%S" then
      local f, why = fields(line, separator)
      if not f then bad(": %s", why) end
      width = width or #f
      if #f ~= width then bad(": expected %d fields, got %d", width, #f) end
      local values, complete = {}, true
      for j, s in ipairs(f) do
        values[j] = number(s)
        complete = complete and values[j] ~= nil
        if values[j] and math.abs(values[j]) > MOST then
          bad(", field %d: expected a number that f32 can hold, got %s", j, s:sub(1, 30))
        end
      end
      first = first or at
      if complete and not (at == first and heading) then
        table.move(values, 1, width, #flat + 1, flat)
        lines[#lines + 1] = line
      elseif at == first and next(values) and heading == nil then
        bad " has words and numbers: header=true takes it for a header, header=false for a row"
      elseif at == first and heading ~= false then
        header = f
      else
        for j, s in ipairs(f) do
          if not values[j] then bad(", field %d: expected a number, got %q", j, s:sub(1, 30)) end
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
  local j
  for i, name in ipairs(header or {}) do
    if name == label and not j then j = i
    elseif name == label then
      error(("%s: option 'label': columns %d and %d of %s are both named '%s': give a number"):format(who, j, i,
            what, label), 0)
    end
  end
  j = j or math.tointeger(tonumber(label))
  if not j or j < 1 or j > width then
    error(("%s: option 'label': expected a column of %s: 1 .. %d%s, got '%s'"):format(who, what, width,
          header and " or a name of its header, " .. table.concat(header, ", ") or "", label), 0)
  end
  return j
end

return {
  name = "csv",
  doc = "Rows of numbers: x f32 (batch, columns), and y i64 (batch) where 'label' names a column of\n"
     .. "whole numbers: classes, counted from 1 (value - smallest + 1). d.header has the names of\n"
     .. "the columns. The hash of a line decides its split. Files may be gzipped.\n"
     .. "Set digits: 1797 images of 8 x 8, values 0 .. 1 and their digit.",
  ref = "set digits: UCI Optical Recognition of Handwritten Digits, as in scikit-learn (BSD-3)",
  options = {
    { "path", "string", "", "file to read; the set unless given" },
    { "set", "string", "digits", "digits is in Debian's package python3-sklearn", choices = { "digits" } },
    { "header", "boolean", nil, "whether the first line is one; unless given, it is where none of its "
      .. "fields is a number" },
    { "label", "string", "", "column of classes: its number or its name in the header" },
    { "separator", "string", ",", "between fields", choices = { ",", ";", "\t", " " } }
  },
  call = { { "batch", "integer", 16, "rows", lo = 1, hi = 1048576 } },
  example = 'd = fv.data("csv", {path="table.csv", label="class"}); b = d:batch("train", 1); print(b.x, b.y)',
  build = function(opt, name)
    local text, what = corpus.text(opt, sets, name)
    local set = opt.path == "" and sets[opt.set] or {}
    local flat, width, header, lines = parse(text, opt.separator, opt.header, what, name)
    local j = column(opt.label == "" and tostring(set.label or "") or opt.label, width, header, what, name)
    local X, y = fv.tensor(flat, { dtype = "f64" }):reshape(#lines, width), nil
    if j > 0 then
      local c = X:slice(2, j, j):reshape(#lines)
      y = c:to "i64"
      if y:to("f64"):eq(c):all():item() == 0 then
        error(("%s: %s: the labels in column %d are not whole numbers"):format(name, what, j), 0)
      end
      y = y - y:min() + 1
      local classes = y:max():item()
      if classes > 1048576 then
        error(("%s: %s: column %d spans %d values: expected classes, at most 1048576"):format(name, what, j,
              classes), 0)
      end
      local parts = {}
      if j > 1 then parts[#parts + 1] = X:slice(2, 1, j - 1) end
      if j < width then parts[#parts + 1] = X:slice(2, j + 1, width) end
      if #parts == 0 then error(("%s: %s has no column beside the labels"):format(name, what), 0) end
      X = fv.cat(parts, 2)
    end
    X = (X / (set.scale or 1)):to "f32"
    local rows = corpus.rows(#lines, function(i) return lines[i] end)
    return { sizes = rows.sizes, header = header or false, columns = X:size(2),
             classes = y and y:max():item() or false,
      draw = function(split, stream, v)
        local list = rows.draw(split, stream, v.batch, name)
        local at = corpus.ids(list, #list)
        return { x = X:index_select(1, at), y = y and y:index_select(1, at) }
      end }
  end
}
