--- What a prompt needs: compile, run, show, complete.  The terminal and other
--- front ends are thin skins over these functions.

local session = { history = {} }

--- 'local x = 1' typed at a prompt would be gone on the next line; there it
--- means a global, as in a notebook.
local function keep_locals(src)
  return (src:gsub("^%s*local%s+function%s", "function "):gsub("^%s*local%s+([%w_,%s]-=[^=])", "%1"))
end

--- A function to call, or nil and "incomplete", or nil and the error.
--- A trailing ';' asks that the value not be shown; 'name?' asks for help.
function session.compile(src)
  local name = src:match "^%s*%?%s*([%w_.]*)%s*$" or src:match "^%s*([%w_.]+)%s*%?%s*$"
  if name then
    return function() return require("fovea").help(name ~= "" and name or nil) end, true
  end
  local mute = src:find ";%s*$" ~= nil
  local f = load("return " .. src:gsub(";%s*$", ""), "=prompt", "t")
  if f then return f, mute end
  local err
  f, err = load(keep_locals(src), "=prompt", "t")
  if f then return f, mute end
  -- statements and, after a ';', an expression to show
  for at = #src, 1, -1 do
    if src:byte(at) == 59 then   -- ;
      local g = load(keep_locals(src:sub(1, at)) .. " return " .. src:sub(at + 1), "=prompt", "t")
      if g and src:find("%S", at + 1) then return g, false end
    end
  end
  if err:find "<eof>$" then return nil, "incomplete" end
  return nil, err
end

local function key(k)
  return type(k) == "string" and k:match "^[%a_][%w_]*$" or ("[%s]"):format(
    type(k) == "string" and ("%q"):format(k) or tostring(k))
end

local function order(a, b)
  if type(a) == type(b) and (type(a) == "number" or type(a) == "string") then return a < b end
  return type(a) < type(b)
end

--- A value as text: strings quoted, tables by their entries to a depth of 3.
function session.show(v, depth, seen)
  depth, seen = depth or 1, seen or {}
  if type(v) == "string" then return depth > 1 and ("%q"):format(v) or v end
  local meta = getmetatable(v)
  if type(v) ~= "table" or (type(meta) == "table" and meta.__tostring) then
    local text = tostring(v)
    return depth > 1 and text:find "\n" and text:match "^[^\n]*" or text
  end
  if seen[v] then return "{...}" end
  if depth > 3 then return next(v) == nil and "{}" or "{...}" end
  seen[v] = true
  local parts, keys, n = {}, {}, #v
  for i = 1, math.min(n, 20) do parts[i] = session.show(v[i], depth + 1, seen) end
  if n > 20 then parts[#parts + 1] = ("... (%d)"):format(n) end
  for k in pairs(v) do
    if not (math.type(k) == "integer" and k >= 1 and k <= n) then keys[#keys + 1] = k end
  end
  table.sort(keys, order)
  for i, k in ipairs(keys) do
    if i > 40 then parts[#parts + 1] = ("... (%d)"):format(#keys) break end
    parts[#parts + 1] = key(k) .. " = " .. session.show(v[k], depth + 1, seen)
  end
  seen[v] = nil
  local line = table.concat(parts, ", ")
  if #line < 76 and not line:find "\n" then return "{" .. line .. "}" end
  local pad = ("  "):rep(depth)
  return "{\n" .. pad .. table.concat(parts, ",\n" .. pad) .. "\n" .. ("  "):rep(depth - 1) .. "}"
end

--- Results of one entry: the first is kept as _; shown on one line if they fit.
function session.results(n, ...)
  if n == 0 then return nil end
  _G._ = (...)
  local out = {}
  for i = 1, n do out[i] = session.show((select(i, ...))) end
  local line = table.concat(out, ", ")
  return (line:find "\n" or #line > 76) and table.concat(out, "\n") or line
end

--- Names that v.|name can complete to.
local function fields(v)
  local names = {}
  local function add(t)
    if type(t) == "table" then
      for k in pairs(t) do if type(k) == "string" then names[k] = true end end
    end
  end
  add(v)
  local meta = getmetatable(v)
  if type(meta) == "table" then
    add(meta.methods)
    if type(meta.__names) == "function" then
      for _, k in ipairs(meta.__names(v)) do names[k] = true end
    end
    add(meta.__index)
  end
  return names
end

--- Completions of the last word of 'line': names, fields, methods by the
--- value's type, option keys inside f{...} or f(..., {...}), names in fv.map("...").
function session.complete(line)
  local fv = require "fovea"
  local found = {}
  local function take(names, prefix, lead)
    for name in pairs(names) do
      if name:sub(1, #prefix) == prefix then found[#found + 1] = lead .. name end
    end
  end
  local registry, open = line:match "fv%.([%a_]+)%s*%(?%s*[\"']([%w_]*)$"
  if registry and type(rawget(fv, registry)) ~= "nil" or registry then
    local good, names = pcall(function() return fv[registry].names() end)
    if good then
      local set = {}
      for _, n in ipairs(names) do set[n] = true end
      take(set, open, "")
    end
  else
    local word = line:match "[%w_.:]*$"
    local path, sep, last = word:match "^(.-)([.:])([%w_]*)$"
    if path then
      local v = _G
      for name in path:gmatch "[^.:]+" do
        local good, inner = pcall(function() return v[name] end)
        v = good and inner or nil
        if v == nil then break end
      end
      if v ~= nil then take(fields(v), last, path .. sep) end
    else
      local call = line:match "([%w_.]+)%s*%b()?[^{}()]*{[^{}]*$" or line:match "([%w_.]+)%s*%([^{}]*{[^{}]*$"
      local op = call and fv.ops and fv.ops[call:match "[%w_]+$"]
      if op then
        local set = {}
        for _, o in ipairs(op.options) do set[o.name .. "="] = true end
        for _, a in ipairs(op.inputs) do if a.optional then set[a.name .. "="] = true end end
        take(set, word, "")
      end
      take(_G, word, "")
      if #word > 0 then
        for _, k in ipairs { "and", "break", "do", "else", "elseif", "end", "false", "for",
          "function", "goto", "if", "in", "local", "nil", "not", "or", "repeat", "return", "then",
          "true", "until", "while" } do take({ [k] = true }, word, "") end
      end
    end
  end
  table.sort(found)
  return found
end

return session
