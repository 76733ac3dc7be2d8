--- Runs an experiment: fovea run experiments/NAME [--option=value ...]
---
--- An experiment is a directory with run.lua (or a Lua file) that returns
---   { question=, claim=, source=, cost=,
---     options = { { name=, type=, default=, doc=, lo=, hi=, choices= }, ... },
---     run = function(opt) ... end }
--- Options are declared as fovea.options says, of types a word can give: integer, number,
--- boolean, string. Each experiment also has seed (1) and out (out/NAME).

local options = require "fovea.options"

local function is_file(path)
  local f = io.open(path)
  if not f then return false end
  local readable = f:read(0) ~= nil or f:seek "end" == 0
  f:close()
  return readable
end

local function usage(path, exp, spec)
  local out = { exp.question or path, "", ("fovea run %s [--option=value ...]"):format(path) }
  for _, o in ipairs(spec) do
    out[#out + 1] = ("  --%-14s %s (default: %s)"):format(o.name, o.doc, tostring(o.default))
  end
  return table.concat(out, "\n")
end

local function parse(args, path, spec)
  local given = {}
  for _, a in ipairs(args) do
    local name, value = a:match "^%-%-([%w_%-]+)=(.*)$"
    if not name then name, value = a:match "^%-%-([%w_%-]+)$", "true" end
    local o = spec.by[name]
    if not o then
      local near = name and options.nearest(name, spec.names)
      error(("%s: unknown option '%s'%s: expected --name=value with name one of %s"):format(path, a,
        near and (" (did you mean '--%s'?)"):format(near) or "", table.concat(spec.names, ", ")), 0)
    end
    if not a:find("=", 1, true) and o.type ~= "boolean" then
      error(("%s: option --%s: expected --%s=value"):format(path, name, name), 0)
    end
    local v, want = options.word(o, value)
    if v == nil then error(("%s: option --%s: expected %s, got '%s'"):format(path, name, want, value), 0) end
    given[name] = v
  end
  return options.read(spec, given, path, 0)
end

return function(path, ...)
  if path == "--help" or path == "-h" then
    print "usage: fovea run experiment [--name=value ...]\n       fovea run experiment --help"
    return
  end
  if not path then error("run: expected the path of an experiment", 0) end
  local file = is_file(path .. "/run.lua") and path .. "/run.lua" or path
  if not is_file(file) then
    error(("run: no experiment at '%s': expected a Lua file or a directory with run.lua"):format(path), 0)
  end
  local dir = file:match "^(.*)/[^/]*$" or "."
  package.path = dir .. "/?.lua;" .. package.path
  local exp = assert(loadfile(file, "t"))(path)
  if type(exp) ~= "table" or type(exp.run) ~= "function" then
    error(("run: %s returned no experiment: expected a table with run = function(opt)"):format(file), 0)
  end
  local name = path:gsub("/+$", ""):gsub("/run%.lua$", ""):match "[^/]+$":gsub("%.lua$", "")
  local list = table.move(exp.options or {}, 1, #(exp.options or {}), 1, {})
  list[#list + 1] = { name = "seed", type = "integer", default = 1, doc = "of every random draw" }
  list[#list + 1] = { name = "out", type = "string", default = "out/" .. name,
                            doc = "directory of the results" }
  local spec = options.declare(list, path, 0)
  local args = { ... }
  for _, a in ipairs(args) do
    if a == "--help" or a == "-h" then
      print(usage(path, exp, spec))
      return
    end
  end
  local opt = parse(args, path, spec)
  opt.dir = dir
  return exp.run(opt)
end
