--- JSON, as much as results need: objects, arrays, numbers, strings, booleans.
--- A table with [1] or without any key is an array. nan and inf become null.

local json = {}

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function quote(s)
  return '"' .. s:gsub('[%c"\\]', function(c) return escapes[c] or ("\\u%04x"):format(c:byte()) end) .. '"'
end

local function encode(v, indent)
  local t = type(v)
  if t == "string" then return quote(v) end
  if t == "boolean" then return tostring(v) end
  if t == "number" then
    if v ~= v or v == math.huge or v == -math.huge then return "null" end
    return math.type(v) == "integer" and tostring(v) or ("%.17g"):format(v)
  end
  if t ~= "table" then error("json: cannot write a " .. t, 0) end
  local inner, out = indent .. "  ", {}
  if v[1] ~= nil or next(v) == nil then
    for i, x in ipairs(v) do out[i] = encode(x, inner) end
    local flat = "[" .. table.concat(out, ", ") .. "]"
    if type(v[1]) ~= "table" then return flat end
    return "[\n" .. inner .. table.concat(out, ",\n" .. inner) .. "\n" .. indent .. "]"
  end
  local keys = {}
  for k in pairs(v) do keys[#keys + 1] = k end
  table.sort(keys)
  for i, k in ipairs(keys) do out[i] = quote(k) .. ": " .. encode(v[k], inner) end
  return "{\n" .. inner .. table.concat(out, ",\n" .. inner) .. "\n" .. indent .. "}"
end

function json.encode(v) return encode(v, "") .. "\n" end

local parse

local function fail(s, at, want)
  local _, line = s:sub(1, at):gsub("\n", "")
  error(("json: line %d: expected %s"):format(line + 1, want), 0)
end

local plain = { n = "\n", r = "\r", t = "\t", b = "\b", f = "\f" }

local function string_at(s, at)
  local out = {}
  while true do
    local from, to, text, stop = s:find('^([^"\\]*)(["\\])', at)
    if not from then fail(s, at, "a closing quote") end
    out[#out + 1] = text
    if stop == '"' then return table.concat(out), to + 1 end
    local c = s:sub(to + 1, to + 1)
    at = to + 2
    if c == "u" then
      local hex = s:match("^%x%x%x%x", at) or fail(s, at, "four hexadecimal digits")
      out[#out + 1] = utf8.char(tonumber(hex, 16))
      at = at + 4
    else
      out[#out + 1] = plain[c] or c
    end
  end
end

--- Items up to 'close': item(at) reads one and returns where it ends.
local function list(s, at, close, item)
  at = s:find("%S", at) or fail(s, at, close)
  if s:sub(at, at) == close then return at + 1 end
  while true do
    at = s:find("%S", item(at)) or fail(s, at, close)
    local c = s:sub(at, at)
    if c == close then return at + 1 end
    if c ~= "," then fail(s, at, "',' or '" .. close .. "'") end
    at = at + 1
  end
end

function parse(s, at)
  at = s:find("%S", at) or fail(s, at, "a value")
  local c, out = s:sub(at, at), {}
  if c == '"' then return string_at(s, at + 1) end
  if c == "[" then
    return out, list(s, at + 1, "]", function(i)
      out[#out + 1], i = parse(s, i)
      return i
    end)
  end
  if c == "{" then
    return out, list(s, at + 1, "}", function(i)
      i = s:match('^%s*"()', i) or fail(s, i, "a name in quotes")
      local key
      key, i = string_at(s, i)
      i = s:match("^%s*:()", i) or fail(s, i, "':'")
      out[key], i = parse(s, i)
      return i
    end)
  end
  for word, value in pairs { ["true"] = true, ["false"] = false } do
    if s:sub(at, at + #word - 1) == word then return value, at + #word end
  end
  if s:sub(at, at + 3) == "null" then return nil, at + 4 end
  local text = s:match("^-?%d+%.?%d*[eE]?[+-]?%d*", at)
  local number = text and tonumber(text)
  if not number then fail(s, at, "a value") end
  return number, at + #text
end

function json.decode(s)
  local v, at = parse(s, 1)
  if s:find("%S", at) then fail(s, at, "the end") end
  return v
end

return json
