--- Typed options: declared once as a list, read strictly, shown by help.
---
--- A declaration is a list of { name, type, default, doc, lo=, hi=, choices=, required= }:
---   type      "integer", "number", "boolean", "string", "table", "function", "any", or a
---             class of userdata without its prefix ("tensor", "stream"); "a|b" takes both
---   default   nil: none; the doc says what is derived instead
---   lo, hi    inclusive bounds of numbers
---   choices   a list of the strings allowed
---   required  true: there is no default and nil is refused
--- The fields are those that operators in C show as op.options.

local options = {}

--- Edit distance of two short words.
local function distance(a, b)
  local row = {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local diag = row[0]
    row[0] = i
    for j = 1, #b do
      local best = math.min(diag + (a:byte(i) == b:byte(j) and 0 or 1), row[j] + 1, row[j - 1] + 1)
      diag, row[j] = row[j], best
    end
  end
  return row[#b]
end

--- The name nearest to 'word', or nil if none is near.
function options.nearest(word, names)
  local best, near = nil, #tostring(word) // 3 + 2
  for _, name in ipairs(names) do
    local d = distance(tostring(word):lower(), name:lower())
    if d < near then best, near = name, d end
  end
  return best
end

--- " (did you mean 'x'?)" or "".
function options.hint(word, names)
  local near = options.nearest(word, names)
  return near and (" (did you mean '%s'?)"):format(near) or ""
end

local function known(field)
  return field == "required" or field == "lo" or field == "hi" or field == "choices"
end

--- Turns a declaration into a list of { name, type, default, doc, ... } that is
--- also indexed by name.  'who' and 'level' are for messages about the list itself.
function options.declare(list, who, level)
  local spec = { by = {}, names = {} }
  for i, o in ipairs(list) do
    local d = { name = o[1] or o.name, type = o[2] or o.type, default = o.default, doc = o[4] or o.doc,
                lo = o.lo, hi = o.hi, choices = o.choices, required = o.required }
    if d.default == nil then d.default = o[3] end
    for field in pairs(o) do
      if type(field) == "string" and not known(field) and not d[field] and field ~= "default" then
        error(("%s: option %d: unknown field '%s'"):format(who, i, field), level)
      end
    end
    if type(d.name) ~= "string" or type(d.type) ~= "string" or type(d.doc) ~= "string" then
      error(("%s: option %d: expected { name, type, default, doc }"):format(who, i), level)
    end
    if spec.by[d.name] then error(("%s: option '%s' declared twice"):format(who, d.name), 3) end
    if type(d.choices) == "string" then
      local words = {}
      for w in d.choices:gmatch("[^|]+") do words[#words + 1] = w end
      d.choices = words
    end
    spec[i], spec.by[d.name], spec.names[i] = d, d, d.name
  end
  return spec
end

--- The declarations 'a', then those of 'b' whose names are new.
function options.join(a, b)
  local list = table.move(a, 1, #a, 1, {})
  for _, o in ipairs(b) do
    if not a.by[o.name] then list[#list + 1] = o end
  end
  return options.declare(list, "options", 2)
end

--- The type of a value as options name it.
function options.type(v)
  local t = type(v)
  if t == "number" then return math.type(v) == "integer" and "integer" or "number" end
  if t == "userdata" or t == "table" then
    local name = (getmetatable(v) or {}).__name
    return name and name:match("^fovea%.(.+)") or t
  end
  return t
end

local words = { any = "a value", integer = "a whole number", number = "a number", boolean = "true or false",
                string = "a string", table = "a table", ["function"] = "a function" }

local function shown(v)
  return type(v) == "string" and ("%q"):format(v) or type(v) == "number" and tostring(v)
         or type(v) == "boolean" and tostring(v) or options.type(v)
end

--- A bound as people write it: 1 for 1.0.
local function bound(x) return ("%.14g"):format(x) end

local function expected(o)
  local list = o.choices and {}
  if list then
    for i, c in ipairs(o.choices) do list[i] = ('"%s"'):format(c) end
  end
  local text = list and "one of " .. table.concat(list, ", ") or ""
  for t in o.type:gmatch "[^|]+" do
    if t ~= "string" or not list then
      text = text .. (text == "" and "" or " or ") .. (words[t] or "a " .. t)
    end
  end
  if o.lo and o.hi then return ("%s in [%s, %s]"):format(text, bound(o.lo), bound(o.hi)) end
  if o.lo then return ("%s from %s"):format(text, bound(o.lo)) end
  if o.hi then return ("%s up to %s"):format(text, bound(o.hi)) end
  return text
end

--- The value as 'o' takes it, or nil when it does not.
local function accept(o, v)
  local t = options.type(v)
  for want in o.type:gmatch("[^|]+") do
    if want == "integer" and math.type(v) == "float" and v == math.floor(v) and math.abs(v) < 2 ^ 53 then
      v, t = math.tointeger(v), "integer"
    end
    if want == "any" or want == t or (want == "number" and t == "integer")
       or (want == "table" and type(v) == "table") then
      local least, most = o.lo or -math.huge, o.hi or math.huge
      if type(v) == "number" and want ~= "any" and not (v >= least and v <= most) then return nil end   -- NaN too
      if not o.choices or type(v) ~= "string" then return v end
      for _, c in ipairs(o.choices) do if c == v then return v end end
      return nil
    end
  end
end

local said = { ["true"] = true, yes = true, ["1"] = true, ["false"] = false, no = false, ["0"] = false }

--- The value that a word of the command line gives to the option 'o' of types integer,
--- number, boolean or string, or nil and what is expected.
function options.word(o, text)
  for t in o.type:gmatch "[^|]+" do
    local v
    if t == "boolean" then v = said[text]
    elseif t == "integer" or t == "number" then v = tonumber(text)
    elseif t == "string" then v = text
    end
    if v ~= nil then v = accept(o, v) end
    if v ~= nil then return v end
  end
  return nil, expected(o)
end

--- The options 'given' (a table or nil) with defaults filled in.  Raises, at
--- 'level' as error takes it, for unknown names, wrong types and values out of range.
function options.read(spec, given, who, level)
  if given ~= nil and options.type(given) ~= "table" then
    error(("%s: expected a table of options, got %s"):format(who, options.type(given)), level)
  end
  local values = {}
  for name in pairs(given or {}) do
    if math.type(name) == "integer" then
      error(("%s: entry %d has no name: expected options as name=value"):format(who, name), level)
    elseif not spec.by[name] then
      error(("%s: unknown option '%s'%s"):format(who, tostring(name), options.hint(name, spec.names)), level)
    end
  end
  for _, o in ipairs(spec) do
    local v = given and given[o.name]
    if v ~= nil then
      values[o.name] = accept(o, v)
      if values[o.name] == nil then
        error(("%s: option '%s': expected %s, got %s"):format(who, o.name, expected(o), shown(v)), level)
      end
    elseif o.required then
      error(("%s: option '%s' is required (%s)"):format(who, o.name, o.type == "any" and o.doc or expected(o)),
            level)
    else
      values[o.name] = o.default
    end
  end
  return values
end

--- One option as a line for help: name, type or choices, default, range, doc.
function options.line(o)
  local choices = type(o.choices) == "table" and table.concat(o.choices, "|") or o.choices
  local what = choices or o.type
  local range = ""
  if o.lo and o.hi then range = (" in [%s, %s]"):format(bound(o.lo), bound(o.hi))
  elseif o.lo then range = (" from %s"):format(bound(o.lo))
  elseif o.hi then range = (" up to %s"):format(bound(o.hi)) end
  local default = o.required and "required" or "optional"
  if not o.required and o.default ~= nil then default = "default " .. shown(o.default) end
  return ("%-12s %s%s, %s: %s"):format(o.name, what, range, default, o.doc)
end

--- A value in full: what has a name by its first line, plain tables by their entries.
local function written(v, depth)
  local meta = getmetatable(v)
  if type(v) ~= "table" or depth > 3 then return shown(v) end
  if meta then return meta.__tostring and tostring(v):match "[^\n]*" or shown(v) end
  local list, named = {}, {}
  for i, x in ipairs(v) do list[i] = written(x, depth + 1) end
  for key, x in pairs(v) do
    if not list[key] then named[#named + 1] = tostring(key) .. "=" .. written(x, depth + 1) end
  end
  table.sort(named)
  return "{" .. table.concat(table.move(named, 1, #named, #list + 1, list), ", ") .. "}"
end

--- "{a=1, b=\"x\"}" of the values that are set, in order of declaration.
function options.text(spec, values)
  local list = {}
  for _, o in ipairs(spec) do
    local v = values[o.name]
    if v ~= nil then list[#list + 1] = o.name .. "=" .. written(v, 1) end
  end
  return "{" .. table.concat(list, ", ") .. "}"
end

return options
