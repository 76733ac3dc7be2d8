--- fv.data(name, options): data sets, from files and from samples that ship with Fovea.
---
--- d = fv.data("text", {seed=1});  b = d:batch("train", step, {batch=16, length=128})
---
--- A batch is a table of tensors and a pure function of (seed, split, step): the place in the
--- data is the number of the step, and any batch can be made again. Splits are "train",
--- "validation" and "test", about 8, 1 and 1 tenths, disjoint and fixed by hashes that no
--- seed changes: d.sizes tells their tokens or rows. Sequence data give ids and labels, i64
--- (batch, length), ids from 1; label -100 counts for nothing; d.vocab is the number of ids.
--- Sets of Debian packages are found where the package puts them; a missing one is an error
--- that names the package. Files may be gzipped.
--- Example: d = fv.data("text"); fv.model{kind="lm", vocab=d.vocab}(d:batch("train", 1).ids)

local core = require "fovea.core"
local corpus = require "fovea.corpus"
local options = require "fovea.options"
local registry = require "fovea.registry"

--- Title, and what there is: sizes of the splits, ids, columns, classes.
local function text(object)
  local list = {}
  for _, split in ipairs(corpus.splits) do
    local n = object.sizes[split]
    if n then list[#list + 1] = ("%s %d"):format(split, n) end
  end
  for _, key in ipairs { "vocab", "columns", "classes" } do
    local n = rawget(object, key)
    if n then list[#list + 1] = ("%s %d"):format(key, n) end
  end
  return registry.title(object) .. "\n" .. table.concat(list, ", ")
end

--- Checks what every batch needs; the entry's draw(split, stream, values) does the rest.
local function finish(object, entry)
  local draw, sizes = object.draw, object.sizes
  if type(draw) ~= "function" or type(sizes) ~= "table" then
    error(("data '%s': expected its build to return { sizes = { train = n, ... }, draw = function(split, stream, "
      .. "values) }"):format(entry.name), 0)
  end
  object.batch = function(self, split, step, given)
    if not sizes[split] then
      local names = {}
      for _, known in ipairs(corpus.splits) do names[#names + 1] = sizes[known] and known end
      local word = type(split) == "string"
      error(("%s: split: expected \"%s\", got %s%s"):format(entry.name,
            table.concat(names, '", "'):gsub(', ("%w+)$', " or %1"),
            word and ("%q"):format(split) or options.type(split), word and options.hint(split, names) or ""), 2)
    end
    if math.type(step) ~= "integer" or step < 1 then
      error(("%s: step: expected a whole number from 1, got %s"):format(entry.name, tostring(step)), 2)
    end
    local values = options.read(entry.call, given, entry.name, 3)
    return draw(split, core.rng(self.options.seed):stream(("data:%s:%d"):format(split, step)), values)
  end
end

return registry.new {
  kind = "data", folder = "fovea.data", finish = finish, meta = { __tostring = text }, extra = { call = "options" },
  common = { { "seed", "integer", 1, "keys the batches; the splits are the same for all" } }
}
