--- Files for tests, made byte by byte: what the formats say, not what we write.
local tap = require "tap"

local files = {}

files.dir = os.tmpname()
os.remove(files.dir)
assert(os.execute("mkdir " .. files.dir))
files.exe = (os.getenv "BUILD" or "build") .. "/fovea"

function files.spit(path, bytes)
  local f = assert(io.open(path, "wb"))
  f:write(bytes)
  f:close()
end

--- Writes a file of this name in files.dir; its path.
function files.write(name, bytes)
  files.spit(files.dir .. "/" .. name, bytes)
  return files.dir .. "/" .. name
end

--- What a file holds; nil where there is none.
function files.read(path)
  local f = io.open(path, "rb")
  local s = f and f:read "a"
  if f then f:close() end
  return s
end

function files.slurp(path) return assert(files.read(path), path .. " cannot be read") end

function files.run(cmd)
  local p = io.popen(cmd .. " 2>&1")
  local s = p:read "a"
  p:close()
  return s
end

local code = { f32 = "<f", f64 = "<d", i64 = "<i8", u8 = "B" }

--- Everything a tensor is, as a string: dtype, shape, bits in row-major order.
function files.image(t)
  local parts = {}
  local function walk(v)
    if type(v) == "table" then for _, w in ipairs(v) do walk(w) end
    else parts[#parts + 1] = string.pack(code[t:dtype()], v) end
  end
  walk(t:totable())
  return t:dtype() .. "(" .. table.concat({ t:shape() }, ",") .. ")" .. table.concat(parts)
end

function files.same(got, want, name) return tap.is(files.image(got), files.image(want), name) end

--- A .npy file with these words in its header.
function files.npy(descr, shape, bytes, fortran, version)
  local text = ("{'descr': %s, 'fortran_order': %s, 'shape': %s, }"):format(descr,
    fortran and "True" or "False", shape)
  version = version or 1
  local head = version == 1 and 10 or 12
  text = text .. (" "):rep(63 - (head + #text) % 64) .. "\n"
  return "\x93NUMPY" .. string.pack(version == 1 and "<BBs2" or "<BBs4", version, 0, text) .. bytes
end

function files.i64(t) return fv.tensor(t, { dtype = "i64" }) end

--- Loading these bytes raises "fv.load: 'path': .. pattern ..".
function files.refuses(pattern, bytes, name, suffix)
  local path = files.dir .. "/h" .. (suffix or ".npy")
  files.spit(path, bytes)
  return tap.raises("^fv%.load: '" .. path:gsub("%p", "%%%0") .. "': .*" .. pattern, name, fv.load, path)
end

local function crc32(s)
  local c = 0xffffffff
  for i = 1, #s do
    c = c ~ s:byte(i)
    for _ = 1, 8 do c = c >> 1 ~ (c & 1) * 0xedb88320 end
  end
  return c ~ 0xffffffff
end

--- A zip archive.  A member: name, bytes as archived, raw (what they hold), method;
--- full, crc and flags replace what would be true.
function files.zip(members, zip64)
  local out, dirs, at = {}, {}, 0
  for _, m in ipairs(members) do
    local crc, flags = m.crc or crc32(m.raw), m.flags or 0
    local size, packed, where = m.full or #m.raw, #m.bytes, at
    local extra = zip64 and string.pack("<I2I2I8I8I8", 1, 24, size, packed, at) or ""
    if zip64 then size, packed, where = 0xffffffff, 0xffffffff, 0xffffffff end
    local common = string.pack("<I2I2I2I2I2I4I4I4I2", 20, flags, m.method, 0, 33, crc, packed, size, #m.name)
    out[#out + 1] = "PK\3\4" .. common .. string.pack("<I2", 0) .. m.name .. m.bytes
    dirs[#dirs + 1] = "PK\1\2" .. string.pack("<I2", 20) .. common ..
      string.pack("<I2I2I2I2I4I4", #extra, 0, 0, 0, 0, where) .. m.name .. extra
    at = at + #out[#out]
  end
  local d, n = table.concat(dirs), #members
  local tail = zip64 and string.pack("<c4I8I2I2I4I4I8I8I8I8c4I4I8I4",
    "PK\6\6", 44, 45, 45, 0, 0, n, n, #d, at,
    "PK\6\7", 0, at + #d, 1) or ""
  local n16, len, where = n, #d, at
  if zip64 then n16, len, where = 0xffff, 0xffffffff, 0xffffffff end
  return table.concat(out) .. d .. tail .. "PK\5\6" ..
    string.pack("<I2I2I2I2I4I4I2", 0, 0, n16, n16, len, where, 0)
end

function files.stored(name, raw) return { name = name, raw = raw, bytes = raw, method = 0 } end
--- Deflate allows blocks that are not compressed: final bit, length, its complement.
function files.deflated(name, raw)
  local bytes = "\1" .. string.pack("<I2I2", #raw, ~#raw & 0xffff) .. raw
  return { name = name, raw = raw, method = 8, bytes = bytes }
end

files.five = files.npy("'<i4'", "(1,)", "\5\0\0\0")
-- 4096 zero bytes behind a header, as zlib compresses them
files.zeros = files.npy("'<f4'", "(1024,)", ("\0"):rep(4096))
local squeezed = ("edc8310e40301886e15a9da2db4fd2013189d9462c0693345a31884a2b16710a17565730caf76cef" ..
  "7b375dddf6013bd8494abbd152c1a99c72129c2663772bd7c158a5df5fc9c569ffdd2c37ed3b4a93" ..
  "2c17b1e017ff2a6400000000000000f07b0f"):gsub("%x%x", function (h) return string.char(tonumber(h, 16)) end)
files.big = { name = "z.npy", raw = files.zeros, bytes = squeezed, method = 8 }

--- A .safetensors file; desc: one tensor in its header.
function files.st(json, bytes) return string.pack("<s8", json) .. (bytes or "") end
function files.desc(dtype, shape, from, to)
  return ('{"dtype":"%s","shape":[%s],"data_offsets":[%d,%d]}'):format(dtype, shape, from, to)
end

return files
