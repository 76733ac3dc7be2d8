--- The table a study returns: it prints, draws and saves itself.
---
---   local s = study.new { title =, columns = {...}, notes = {...}, figure = function(rows) ... end }
---   s:add { map = "trig", mse = 0.1 }
--- columns as grid.new takes them, with more = true for one that only files have.
--- print(s); s[i].mse; s:save(path) by ending: .csv, .json or .npz (numbers only);
--- s:plot(path) .png or .svg, by 'figure', which gives what plot.lua takes;
--- s:publish(opt, start) does all of it for an experiment.

local grid = require "fovea.grid"
local results = require "fovea.results"

local study = {}

local methods = {}
local class = { __name = "fovea.study" }

function class:__index(name)
  local own = rawget(self, "own")
  return own and own[name] or methods[name]
end

--- def.own: further methods of this study.
function study.new(def)
  return setmetatable({ title = def.title, columns = def.columns, notes = def.notes or {},
                        figure = def.figure, own = def.own }, class)
end

function methods:add(row) self[#self + 1] = row end

--- The rows for which 'f' holds, as a study of its own.
function methods:where(f)
  local s = study.new(self)
  for _, row in ipairs(self) do
    if f(row) then s:add(row) end
  end
  return s
end

function class:__tostring()
  local shown = {}
  for _, c in ipairs(self.columns) do
    local any = false
    for _, row in ipairs(self) do any = any or row[c[1]] ~= nil end
    if any and not c.more then shown[#shown + 1] = c end
  end
  local g = grid.new(shown)
  for _, row in ipairs(self) do g:add(row) end
  return table.concat({ self.title, g:text(), table.concat(self.notes, "\n") }, "\n"):gsub("\n+$", "")
end

local function names(self)
  local list = {}
  for i, c in ipairs(self.columns) do list[i] = c[1] end
  return list
end

--- JSON of a flat value; numbers JSON lacks become null.
local function json(v)
  if v == nil or v ~= v or v == math.huge or v == -math.huge then return "null" end
  if type(v) == "number" then return math.type(v) == "integer" and tostring(v) or ("%.17g"):format(v) end
  if type(v) == "boolean" then return tostring(v) end
  return '"' .. tostring(v):gsub('[%c"\\]', function(c) return ("\\u%04x"):format(c:byte()) end) .. '"'
end

local write = {}

function write.csv(self, path)
  local g = grid.new(self.columns)
  for _, row in ipairs(self) do g:add(row) end
  results.write(path, g:csv(names(self)))
end

function write.json(self, path)
  local rows = {}
  for i, row in ipairs(self) do
    local fields = {}
    for j, name in ipairs(names(self)) do fields[j] = json(name) .. ": " .. json(row[name]) end
    rows[i] = "  {" .. table.concat(fields, ", ") .. "}"
  end
  results.write(path, ('{"title": %s,\n "rows": [\n%s\n]}\n'):format(json(self.title), table.concat(rows,
    ",\n")))
end

function write.npz(self, path)
  local fv, arrays = require "fovea", {}
  for _, name in ipairs(names(self)) do
    local column, numeric = {}, false
    for i, row in ipairs(self) do
      local v = row[name]
      numeric = numeric or type(v) == "number"
      if v ~= nil and type(v) ~= "number" then numeric = nil; break end
      column[i] = v or 0 / 0
    end
    if numeric then arrays[name] = fv.tensor(column, { dtype = "f64" }) end
  end
  if next(arrays) == nil then error("study: there are no numbers to save", 3) end
  fv.save(path, arrays)
end

function methods:save(path)
  local how = type(path) == "string" and write[path:match "%.(%w+)$" or ""]
  if not how then
    error(("save: expected a path that ends in .csv, .json or .npz, got %s"):format(tostring(path)), 2)
  end
  how(self, path)
  return path
end

--- For experiments with options opt that began at 'start' (fv.clock): prints the study, its
--- seed, time and machine, writes results.csv and, if it has a figure, figure.png and figure.svg
--- into the folder opt.out, and prints where.  shown(row), if given, says which rows are
--- printed; the file has all.
function methods:publish(opt, start, shown)
  local fv, folder = require "fovea", opt.out
  results.folder(folder)
  print(shown and self:where(shown) or self)
  print(("\nseed %d, %.1f s\n%s"):format(opt.seed, fv.clock() - start, tostring(fv.info())))
  print("\nresults  " .. self:save(folder .. "/results.csv"))
  if rawget(self, "figure") then
    self:plot(folder .. "/figure.svg")
    print("figure   " .. self:plot(folder .. "/figure.png"))
  end
end

function methods:plot(path)
  if type(path) ~= "string" then error("plot: expected a path that ends in .png or .svg", 2) end
  return require "fovea.plot"(self.figure(self)):save(path)
end

return study
