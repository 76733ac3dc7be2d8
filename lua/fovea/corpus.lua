-- Where data sets come from: a file the user names, a sample that ships with Fovea, or a
-- file that a Debian package installs; and how each is cut into splits.

local core = require "fovea.core"

local corpus = { splits = { "train", "validation", "test" },
                 limit = 2 ^ 30 }   -- bytes of one file, uncompressed

local function quote(path) return "'" .. path:gsub("'", "'\\''") .. "'" end

--- What is left in 'f', in pieces: a file may be a pipe or have no end. Nil and why not.
local function drain(f)
  local parts, size = {}, 0
  repeat
    local part, err = f:read(2 ^ 20 | 0)
    if err then return nil, err end
    parts[#parts + 1], size = part, size + #(part or "")
    if size > corpus.limit then return nil, ("holds more than %d MB"):format(corpus.limit // 2 ^ 20) end
  until not part
  return table.concat(parts)
end

--- What 'command' prints, or nil and why not.
local function output(command)
  local pipe = io.popen("export LC_ALL=C; { " .. command .. "; } 2>/dev/null")
  local text, err = drain(pipe)
  local good, _, code = pipe:close()
  if not text then return nil, err end
  if not good then return nil, "status " .. tostring(code) end
  return text
end

--- The bytes of a file; .gz is decompressed.  Raises one error, "who: ...", for the user.
function corpus.read(path, who)
  local f, err = io.open(path, "rb")
  if not f then error(("%s: cannot read %s"):format(who, err), 0) end
  local head, why = f:read(2)
  if why then
    f:close()
    error(("%s: '%s' is not a file: %s"):format(who, path, why), 0)
  end
  local gzipped, text = head == "\31\139", nil
  if not gzipped then text, err = drain(f) end
  f:close()
  if gzipped then text, err = output("gzip -dc < " .. quote(path)) end
  if not text then
    error(("%s: '%s' cannot be %s: %s"):format(who, path, gzipped and "decompressed by gzip" or "read", err), 0)
  end
  return gzipped and text or (head or "") .. text
end

local function exists(path)
  local f = io.open(path, "rb")
  if f then f:close() end
  return f ~= nil
end

--- The folder of the samples that ship with Fovea: in the source tree, or as installed.
local function sample(name, who)
  local here = package.searchpath("fovea.corpus", package.path):match "^(.*)/[^/]*/[^/]*$" or "."
  local tried = {}
  for i, dir in ipairs { "/../experiments/data", "/../../fovea/data" } do
    tried[i] = here .. dir .. "/" .. name
    if exists(tried[i]) then return tried[i] end
  end
  error(("%s: the sample '%s' is not where Fovea was installed: looked for %s"):format(who, name,
        table.concat(tried, " and ")), 0)
end

--- The text of a known set: { sample = file }, or { package =, file = path } or
--- { package =, command = } for what a Debian package has.
function corpus.set(def, name, who)
  if def.sample then return corpus.read(sample(def.sample, who), who) end
  local missing = ("%s: set '%s' is not on this machine; install it: apt-get install %s"):format(who, name,
                  def.package)
  if def.command then
    local text = output(def.command)
    return text and #text > 0 and text or error(missing, 0)
  end
  if not exists(def.file) then error(missing .. " (it holds " .. def.file .. ")", 0) end
  return corpus.read(def.file, who)
end

--- The text that options path and set choose, without a byte-order mark, and what to call
--- it in messages.
function corpus.text(opt, sets, who)
  if opt.path ~= "" then
    return (corpus.read(opt.path, who):gsub("^\xef\xbb\xbf", "", 1)), "'" .. opt.path .. "'"
  end
  return corpus.set(sets[opt.set], opt.set, who), ("set '%s'"):format(opt.set)
end

-- ---- splits ----

--- A well-mixed 64-bit integer (the finaliser of SplitMix64, Steele, Lea & Flood 2014).
local function mix(z)
  z = (z ~ z >> 30) * 0xbf58476d1ce4e5b9
  z = (z ~ z >> 27) * 0x94d049bb133111eb
  return z ~ z >> 31
end

--- The split of place i (from 1): of every ten places in order, the hash of their number
--- picks one for validation and one for test.
function corpus.place(i)
  local r = mix((i - 1) // 10 + 0x9e3779b97f4a7c15) >> 1
  local validation = r % 10
  local test = (validation + 1 + (r >> 32) % 9) % 10
  local at = (i - 1) % 10
  return at == validation and "validation" or at == test and "test" or "train"
end

--- The split of a record by its bytes alone: equal records are in one split.
function corpus.content(s)
  local h = mix(#s + 0x9e3779b97f4a7c15)
  for i = 1, #s - 7, 8 do h = mix(h ~ ("<i8"):unpack(s, i)) + 0x9e3779b97f4a7c15 end
  for i = #s - #s % 8 + 1, #s do h = mix(h ~ s:byte(i)) + 0x9e3779b97f4a7c15 end
  local r = (h >> 1) % 10
  return r == 8 and "validation" or r == 9 and "test" or "train"
end

--- Rows of a table with n of them: batches drawn uniformly from the rows of a split.
--- key(i), if given, is the content of row i; otherwise its place decides.
function corpus.rows(n, key)
  local at = { train = {}, validation = {}, test = {} }
  for i = 1, n do
    local split = key and corpus.content(key(i)) or corpus.place(i)
    at[split][#at[split] + 1] = i
  end
  return {
    sizes = { train = #at.train, validation = #at.validation, test = #at.test },
    --- 'count' row numbers, a list.
    draw = function(split, stream, count, who)
      local list = at[split]
      if #list == 0 then
        error(("%s: the %s split is empty: the data have %d rows; expected at least 10"):format(who, split,
              n), 0)
      end
      local rows = stream:integers(1, #list, count):totable()
      for i, r in ipairs(rows) do rows[i] = list[r] end
      return rows
    end
  }
end

--- A list of integers as an i64 tensor of that shape.
function corpus.ids(list, ...) return core.tensor(list, { dtype = "i64" }):reshape(...) end

return corpus
