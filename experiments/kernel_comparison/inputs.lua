--- What methods are compared on: groups of passages, each { q, k, v }.
---
--- text   word vectors of an English text (words.lua), laid out as its sentences run: passages of
---        512 and 2048 words
--- model  queries, keys and values of a trained byte model (../data/text_model.lua) that reads the
---        same text: for each of its blocks, windows of 256 bytes, every head a passage
---
--- A group is { label =, n =, dim =, passages =, ... }.

local fv = require "fovea"
local words = require "words"

local inputs = {}

local DIM, WINDOW = 64, 256

local function read(path)
  local f, err = io.open(path, "rb")
  if not f then error("--text: cannot read " .. err, 0) end
  local text = f:read "a"
  f:close()
  if not text then error(("--text: '%s' is not a file of text"):format(path), 0) end
  return text
end

--- The first places of 'count' stretches of n among 'total', spread evenly.
local function spread(total, n, count)
  local at = {}
  for i = 1, count do at[i] = 1 + (total - n) * (i - 1) // math.max(1, count - 1) end
  return at
end

local function of_text(text, path, opt)
  local ids, kept = words.vocabulary(words.tokens(text, path), 1500)
  if #ids < 512 or #kept < 2 * DIM then
    error(("--text: '%s' is too short: %d words, %d of them different; expected at least 512 and %d")
      :format(path, #ids, #kept, 2 * DIM), 0)
  end
  local Q, K = words.factors(words.ppmi(ids, #kept, 5), DIM, fv.rng(opt.seed):stream "svd")
  local scale, groups = DIM ^ 0.25, {}      -- q.k / sqrt(d) = the PPMI of the two words
  for _, n in ipairs { 512, 2048 } do
    local list = {}
    for i, first in ipairs(n <= #ids and spread(#ids, n, math.min(opt.passages, #ids // n)) or {}) do
      local at = fv.tensor(table.move(ids, first, first + n - 1, 1, {}), { dtype = "i64" })
      local v = Q:index_select(1, at)
      list[i] = { q = v * scale, k = K:index_select(1, at) * scale, v = v }
    end
    if #list > 0 then
      groups[#groups + 1] = { label = "text " .. n, n = n, dim = DIM, passages = list }
    end
  end
  return groups, ("%d words, %d different, d = %d"):format(#ids, #kept, DIM)
end

local function of_model(text, path, opt)
  if #text < WINDOW then
    error(("--text: '%s' is too short: %d bytes, expected at least %d"):format(path, #text, WINDOW), 0)
  end
  local shape = dofile(opt.dir .. "/../data/text_model.lua")
  local rows = {}
  for i, first in ipairs(spread(#text, WINDOW, math.min(opt.passages, #text // WINDOW))) do
    rows[i] = { text:byte(first, first + WINDOW - 1) }
  end
  local ids = fv.tensor(rows, { dtype = "i64" }) + 1
  local groups = {}
  for block, x in ipairs(shape.observe(shape.load(opt.dir .. "/../data"), ids)) do
    local list = {}
    for b = 1, x.q:size(1) do
      for h = 1, x.q:size(2) do list[#list + 1] = { q = x.q[b][h], k = x.k[b][h], v = x.v[b][h] } end
    end
    groups[block] = { label = "model " .. block, n = WINDOW, dim = x.q:size(-1), passages = list }
  end
  return groups
end

--- The groups that opt.source asks for, and a line about them.
function inputs.groups(opt)
  local path = opt.text ~= "" and opt.text or opt.dir .. "/../data/genesis.txt"
  local text, groups, note = read(path), {}, ""
  if opt.source ~= "model" then
    groups, note = of_text(text, path, opt)
  end
  if opt.source ~= "text" then
    for _, g in ipairs(of_model(text, path, opt)) do groups[#groups + 1] = g end
  end
  return groups, ("%s: %d bytes %s"):format(path:match "[^/]+$", #text, note)
end

return inputs
