-- Files that lie: each is one clear error or a valid tensor, and the process lives.
local tap = require "tap"
local files = require "files"

local dir, spit, slurp, image = files.dir, files.spit, files.slurp, files.image
local npy, zip, stored, deflated = files.npy, files.zip, files.stored, files.deflated
local st, desc, refuses = files.st, files.desc, files.refuses

refuses("big%-endian dtype '>f4'", npy("'>f4'", "(1,)", "1234"), "big-endian is refused")
refuses("structured", npy("[('a', '<f4')]", "(1,)", "1234"), "structured dtypes are refused")
refuses("dtype '<U3' is not read", npy("'<U3'", "(1,)", ("x"):rep(12)), "strings are refused")
refuses("dtype '|O' is not read", npy("'|O'", "(1,)", "12345678"), "pickled objects are refused")
refuses("at most 6 dimensions", npy("'|u1'", "(1,1,1,1,1,1,1)", "1"), "seven dimensions are refused")
refuses("overflows", npy("'<f8'", "(4294967296, 4294967296)", ""), "a shape that overflows")
refuses("overflows", npy("'<f8'", "(99999999999999999999,)", ""), "a size that overflows")
refuses("overflows", npy("'<f8'", "(0, 4294967296, 4294967296)", ""), "an empty shape that overflows")
refuses("expected 4096 bytes of elements, got 8", npy("'<f4'", "(1024,)", "12345678"), "too few elements")
refuses("expected 4 bytes of elements, got 5", npy("'<f4'", "(1,)", "12345"), "too many elements")
refuses("unreadable shape", npy("'<f4'", "(-1,)", ""), "a negative size")
refuses("unreadable shape", npy("'<f4'", "(2 3)", ""), "a shape without comma")
refuses("unreadable shape", npy("'<f4'", "(4)", ("x"):rep(16)), "a number that is no tuple")
refuses("'shape' is repeated", npy("'<f4', 'shape': (1,)", "(1,)", "1234"), "a key twice")
refuses("'x' is unknown", npy("'<f4', 'x': 1", "(1,)", "1234"), "an unknown key")
refuses("is missing", "\x93NUMPY\1\0\2\0{}", "an empty dictionary")
refuses("header of 65000 bytes", "\x93NUMPY\1\0\xe8\xfd{}", "a header longer than the file")
refuses("at most", "\x93NUMPY\2\0\xff\xff\xff\xff{}", "a header of 4 GiB")
refuses("version", "\x93NUMPY\9\0\2\0{}      ", "a version of the future")
refuses("magic", "GIF89a" .. ("x"):rep(100), "another format")
refuses("is empty", "", "an empty .npy")
refuses("is empty", "", "an empty .npz", ".npz")
refuses("is empty", "", "an empty .safetensors", ".safetensors")
refuses("no end record", ("x"):rep(5000), "another format under .npz", ".npz")
refuses("header", ("x"):rep(5000), "another format under .safetensors", ".safetensors")

-- ---- zip --------------------------------------------------------------------

local five, zeros, big = files.five, files.zeros, files.big
local plain = zip { stored("a.npy", five), deflated("b/c.npy", five), big }
refuses("CRC%-32", zip { { name = "a.npy", raw = five, bytes = five, method = 0, crc = 1 } },
  "a wrong sum, stored", ".npz")
refuses("CRC%-32", plain:gsub("\n\5\0\0\0", "\n\6\0\0\0"), "changed elements", ".npz")
refuses("not a %.npy", zip { stored("a.txt", five) }, "a member of another kind", ".npz")
refuses("twice", zip { stored("a.npy", five), stored("a.npy", five) }, "a name twice", ".npz")
refuses("method 12", zip { { name = "a.npy", raw = five, bytes = five, method = 12 } }, "an unknown method",
  ".npz")
refuses("encrypted", zip { { name = "a.npy", raw = five, bytes = five, method = 0, flags = 1 } },
  "an encrypted member", ".npz")
refuses("cannot hold", zip { { name = "a.npy", raw = five, bytes = five, method = 8, full = 1 << 31 } },
  "a claim deflate cannot keep", ".npz")
refuses("inflated", zip { { name = "a.npy", raw = five, bytes = deflated("", five).bytes, method = 8,
  full = #five + 9 } }, "more claimed than inflated", ".npz")
refuses("damaged compressed", zip { { name = "a.npy", raw = zeros, bytes = big.bytes:sub(1, -20),
  method = 8 } }, "compressed bytes cut short", ".npz")

-- ---- safetensors ------------------------------------------------------------

local function bad(pattern, json, bytes, name) return refuses(pattern, st(json, bytes), name,
  ".safetensors") end
bad("overlaps", '{"a":' .. desc("U8", "4", 0, 4) .. ',"b":' .. desc("U8", "4", 2, 6) .. "}", "123456",
  "overlapping tensors")
bad("overlaps", '{"a":' .. desc("U8", "4", 0, 4) .. ',"b":' .. desc("U8", "4", 0, 4) .. "}", "1234",
  "the same bytes twice")
bad("hole", '{"a":' .. desc("U8", "1", 0, 1) .. ',"b":' .. desc("U8", "1", 2, 3) .. "}", "123",
  "a hole between tensors")
bad("expected 1 bytes of elements, got 3", '{"a":' .. desc("U8", "1", 0, 1) .. "}", "123",
  "bytes behind the last tensor")
bad("past the 2 bytes", '{"a":' .. desc("U8", "3", 0, 3) .. "}", "12", "a range outside the file")
bad("expected 12 bytes by dtype and shape, got 4", '{"a":' .. desc("F32", "3", 0, 4) .. "}", "1234",
  "a range of another size")
bad("overflows", '{"a":' .. desc("F32", "4611686018427387904,4", 0, 0) .. "}", "", "a shape that overflows")
bad("shape is not", '{"a":' .. desc("F32", "-1", 0, 4) .. "}", "1234", "a negative size")
bad("shape is not", '{"a":' .. desc("F32", "1.0", 0, 4) .. "}", "1234", "a size with a fraction")
bad("at most 6", '{"a":' .. desc("U8", "1,1,1,1,1,1,1", 0, 1) .. "}", "1", "seven dimensions")
bad("not a range", '{"a":' .. desc("U8", "1", 1, 0) .. "}", "1", "a range that ends before it starts")
bad("dtype 'F8_E4M3' is not read", '{"a":' .. desc("F8_E4M3", "1", 0, 1) .. "}", "1", "an unknown dtype")
bad("duplicate", '{"a":' .. desc("U8", "0", 0, 0) .. ',"a":' .. desc("U8", "0", 0, 0) .. "}", "",
  "a key twice")
bad("not JSON", ('{"a":'):rep(5000), "", "deep nesting")
bad("not JSON", "{}x", "", "text behind the header")
bad("expected dtype, shape", '{"a":[]}', "", "a description that is a list")
bad("not a string", '{"__metadata__":{"a":1}}', "", "metadata that are not strings")
bad("start with", " {}", "", "a header that starts with a space")
refuses("at most 100000000 bytes", string.pack("<I8", 100000001) .. "{}", "a header of more than 100 MB",
  ".safetensors")
refuses("in a file of 10", string.pack("<I8", 3) .. "{}", "a header longer than the file", ".safetensors")
refuses("8 bytes of header length", "1234567", "seven bytes", ".safetensors")

-- ---- corrupted files ----------------------------------------------------------

local function lines(path)
  local n = 0
  for _ in io.lines(path) do n = n + 1 end
  return n
end

local extremes = { 0, 1, 0x7f, 0x80, 0xff, 0xffff, 0x7fffffff, 0xffffffff, 0x7fffffffffffffff, -1, -8 }
local function mutate(s, splice)
  local r = math.random
  for _ = 1, r(1, 3) do
    local kind, n = r(1, 6), #s
    if n < 2 then return s end
    local at = r() < 0.7 and r(1, math.min(n, 256)) or r(1, n)
    if kind == 1 then s = s:sub(1, at - 1) .. string.char(r(0, 255)) .. s:sub(at + 1)
    elseif kind == 2 then s = s:sub(1, r() < 0.5 and n - r(1, 40) or at)
    elseif kind == 3 then
      local v = string.pack("<i8", extremes[r(1, #extremes)]):sub(1, ({ 1, 2, 4, 8 })[r(1, 4)])
      at = r() < 0.5 and at or math.max(1, n - r(0, 120))
      s = s:sub(1, at - 1) .. v .. s:sub(at + #v)
    elseif kind == 4 then s = s:sub(1, at - 1) .. s:sub(at + r(1, 20))
    elseif kind == 5 then s = s:sub(1, at) .. s:sub(at, at + r(0, 30)) .. s:sub(at + 1)
    else
      local from = r(1, #splice)
      s = s:sub(1, at) .. splice:sub(from, from + r(1, 16)) .. s:sub(at + 1)
    end
  end
  return s
end

fv.save(dir .. "/f.npz", { a = fv.tensor { 1, 2 }, b = fv.arange(1, 24):reshape(2, 12):t() })
fv.save(dir .. "/f.safetensors", { a = fv.zeros(2, 3), b = fv.ones(5, { dtype = "u8" }), c = fv.eye(2) },
  { metadata = { format = "pt" } })
local seeds = {
  [".npy"] = { npy("'<f4'", "(2, 3)", ("x"):rep(24)), npy("'<f2'", "(5,)", ("x"):rep(10), true, 2),
    npy("'|u1'", "()", "1") },
  [".npz"] = { plain, slurp(dir .. "/f.npz"), zip({ deflated("b.npy", five), big }, true) },
  [".safetensors"] = { st('{"a":' .. desc("F32", "2,1", 0, 8) .. ',"__metadata__":{"k":"v"}}', "12345678"),
                       slurp(dir .. "/f.safetensors"), st('{"h":' .. desc("F16", "1", 0, 2) .. "}", "ab") },
}
math.randomseed(20240607)
collectgarbage()
collectgarbage()
local maps, rounds = lines "/proc/self/maps", 3000
for suffix, list in pairs(seeds) do
  local path, refused, read, odd = dir .. "/fuzz" .. suffix, 0, 0, nil
  for i = 1, rounds do
    spit(path, mutate(list[i % #list + 1], list[(i // 7) % #list + 1]))
    local good, y = pcall(fv.load, path, { mmap = suffix ~= ".npz" and i % 2 == 0 })
    if good then
      read = read + 1
      for _, v in pairs(type(y) == "table" and y or { y }) do
        if v:numel() < 1e6 then image(v) end
      end
    else
      refused = refused + 1
      if y:sub(1, #path + 13) ~= "fv.load: '" .. path .. "': " then odd = y end
    end
  end
  tap.ok(refused > rounds / 2 and read > 0 and not odd, ("%d corrupted %s files"):format(rounds, suffix),
         "%d refused, %d read, odd error: %s", refused, read, odd)
end
collectgarbage()
collectgarbage()
tap.ok(lines "/proc/self/maps" < maps + 100, "no mapping is left behind",
       "%d mappings before, %d after", maps, lines "/proc/self/maps")

os.execute("rm -rf " .. dir)
tap.done()
