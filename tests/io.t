-- Files: round trips, foreign dtypes, the file system, mappings, NumPy.
local tap = require "tap"
local files = require "files"

local dir, exe, spit, slurp, run = files.dir, files.exe, files.spit, files.slurp, files.run
local image, same, npy, i64 = files.image, files.same, files.npy, files.i64
local zip, stored, deflated, st, desc = files.zip, files.stored, files.deflated, files.st, files.desc

-- ---- round trips ----------------------------------------------------------

local samples = {
  f32 = fv.tensor({ { 1.5, -0.0, 1 / 0 }, { 0 / 0, 2 ^ -149, -3 } }),
  f64 = fv.tensor({ 0.1, -1 / 0, 5e-324 }, { dtype = "f64" }),
  i64 = fv.tensor({ math.mininteger, math.maxinteger, 0 }, { dtype = "i64" }),
  u8 = fv.tensor({ { { 0 }, { 255 } } }, { dtype = "u8" }),
  scalar = fv.full({}, 7, { dtype = "f64" }),
  empty = fv.zeros(3, 0, 2),
  six = fv.arange(1, 64, { dtype = "f32" }):reshape(2, 2, 2, 2, 2, 2),
  turned = fv.arange(1, 24):reshape(2, 3, 4):transpose(1, 3),
  part = fv.arange(1, 24):reshape(4, 6):slice(2, 2, 6, 2),
  wide = fv.tensor({ { 1 }, { 2 } }):expand(2, 5),
}
for name, x in pairs(samples) do
  fv.save(dir .. "/x.npy", x)
  same(fv.load(dir .. "/x.npy"), x, name .. " through .npy")
  same(fv.load(dir .. "/x.npy", { mmap = true }), x, name .. " through a mapped .npy")
end
for _, suffix in ipairs { ".npz", ".safetensors" } do
  local path = dir .. "/x" .. suffix
  fv.save(path, samples)
  local first, back, names = slurp(path), fv.load(path), 0
  for name, x in pairs(samples) do
    same(back[name], x, name .. " through " .. suffix)
    same(fv.load(path, { name = name }), x, name .. " alone from " .. suffix)
  end
  for _ in pairs(back) do names = names + 1 end
  tap.is(names, 10, suffix .. " gives back no other name")
  fv.save(path, back)
  tap.ok(slurp(path) == first, suffix .. ": the same tensors give the same bytes")
  fv.save(path, {})
  tap.is(next((fv.load(path))), nil, suffix .. " without tensors")
end
do
  local path = dir .. "/m.safetensors"
  fv.save(path, samples, { metadata = { format = "pt", ["näme"] = "\"x\"\n" } })
  local _, meta = fv.load(path)
  tap.is(meta.format .. meta["näme"], "pt\"x\"\n", "metadata come back")
  local mapped = fv.load(path, { mmap = true })
  for name, x in pairs(samples) do same(mapped[name], x, name .. " mapped from .safetensors") end
end

-- a view that is packed in several blocks, cut along lines and along rows
do
  local x = fv.arange(1, 200000, { dtype = "f64" })
  for _, v in ipairs { x:slice(1, 1, 200000, 2), x:reshape(2, 100000):t(), x:reshape(4, 50000):slice(2, 1,
    49999) } do
    fv.save(dir .. "/x.npy", v)
    local y, sum, want = fv.load(dir .. "/x.npy"), 0, 0
    local a, b = y:reshape(-1), v:contiguous():reshape(-1)
    for i = 1, a:numel(), 97 do sum, want = sum + a:get(i) * i, want + b:get(i) * i end
    tap.is(sum, want, ("a large view of %d elements"):format(v:numel()))
  end
end

-- ---- files written byte by byte -------------------------------------------

local function reads(bytes, want, name)
  spit(dir .. "/h.npy", bytes)
  local good, x = pcall(fv.load, dir .. "/h.npy")
  return tap.is(good and image(x) or x, image(want), name)
end

reads(npy("'<f4'", "(2,)", string.pack("<ff", 1, 2)), fv.tensor { 1, 2 }, "float32, version 1.0")
reads(npy("'<f4'", "(2,)", string.pack("<ff", 1, 2), false, 2), fv.tensor { 1, 2 }, "version 2.0")
reads(npy("'<f4'", "(2,)", string.pack("<ff", 1, 2), false, 3), fv.tensor { 1, 2 }, "version 3.0")
reads(npy("'<i4'", "(2,)", string.pack("<i4i4", -2 ^ 31 | 0, 7)), i64 { -2 ^ 31 | 0, 7 }, "int32 becomes i64")
reads(npy("'<i2'", "(2,)", string.pack("<i2i2", -32768, 7)), i64 { -32768, 7 }, "int16 becomes i64")
reads(npy("'|i1'", "(2,)", string.pack("<i1i1", -128, 7)), i64 { -128, 7 }, "int8 becomes i64")
reads(npy("'<u4'", "(1,)", "\xff\xff\xff\xff"), i64 { 4294967295 }, "uint32 becomes i64")
reads(npy("'<u2'", "(1,)", "\xff\xff"), i64 { 65535 }, "uint16 becomes i64")
reads(npy("'|b1'", "(2,)", "\0\1"), fv.tensor({ 0, 1 }, { dtype = "u8" }), "bool becomes u8")
reads(npy("'<f2'", "(8,)", string.pack("<I2I2I2I2I2I2I2I2", 0x3c00, 0xc000, 1, 0x03ff, 0x0400, 0x7bff,
  0x7c00, 0x8000)),
      fv.tensor { 1, -2, 2 ^ -24, 1023 * 2 ^ -24, 2 ^ -14, 65504, 1 / 0, -0.0 }, "float16 becomes f32")
reads(npy("'<i8'", "(2, 3)", string.pack("<i8i8i8i8i8i8", 1, 4, 2, 5, 3, 6), true),
      i64 { { 1, 2, 3 }, { 4, 5, 6 } }, "Fortran order")
reads(npy("'<f8'", "()", string.pack("<d", 0.5)), fv.full({}, 0.5, { dtype = "f64" }), "no dimensions")
reads("\x93NUMPY\1\0" .. string.pack("<s2",
  "{\"shape\":(2L,),\"descr\":\"|u1\",\"fortran_order\":False}") .. "\1\2",
      fv.tensor({ 1, 2 }, { dtype = "u8" }), "other quotes, order and spacing; elements at an odd offset")

-- ---- zip --------------------------------------------------------------------

local five, big = files.five, files.big
local plain = zip { stored("a.npy", five), deflated("b/c.npy", five), big }
for name, bytes in pairs { zip = plain, zip64 = zip({ stored("a.npy", five), deflated("b/c.npy", five),
  big }, true) } do
  spit(dir .. "/h.npz", bytes)
  local good, t = pcall(fv.load, dir .. "/h.npz")
  tap.ok(good, name .. " is read", "%s", t)
  same(t.a, i64 { 5 }, name .. ": a stored member")
  same(t["b/c"], i64 { 5 }, name .. ": a deflated member")
  same(t.z, fv.zeros(1024), name .. ": a compressed member")
end
do
  local path = dir .. "/h.npz"
  spit(path, zip { stored("a.npy", five), stored("format.npy", npy("'|S3'", "()", "csr")) })
  same(fv.load(path, { name = "a" }), i64 { 5 }, "one member is read though another cannot be")
  tap.raises("holds no 'b'", "a name that is not there", fv.load, path, { name = "b" })
end

-- ---- safetensors ------------------------------------------------------------

spit(dir .. "/h.safetensors", st('{"h":' .. desc("F16", "1", 0, 2) .. ',"b":' .. desc("BF16", "2", 2, 6) ..
  ',"i":' .. desc("I32", "", 6, 10) .. ',"m":' .. desc("BOOL", "2,1", 10, 12) .. ',"e":' .. desc("F64",
    "0,3", 12, 12) ..
  ',"f":' .. desc("F32", "1", 12, 16) .. "}   ", "\0\x3c\x80\x3f\xc0\xbf\xfe\xff\xff\xff\0\1\0\0\x80\x3f"))
local t = fv.load(dir .. "/h.safetensors", { mmap = true })
same(t.h, fv.tensor { 1 }, "F16 becomes f32")
same(t.b, fv.tensor { 1, -1.5 }, "BF16 becomes f32")
same(t.i, fv.full({}, -2, { dtype = "i64" }), "I32 becomes i64")
same(t.m, fv.tensor({ { 0 }, { 1 } }, { dtype = "u8" }), "BOOL becomes u8")
same(t.e, fv.zeros(0, 3, { dtype = "f64" }), "an empty tensor")
same(t.f, fv.tensor { 1 }, "elements at an odd offset are copied")

-- ---- arguments, the file system -------------------------------------------

local x = fv.tensor { 1, 2 }
tap.raises("bad argument #1 to '[%w.]*load' %(expected a path that ends in", "unknown extension", fv.load,
  "x.txt")
tap.raises("#1 to '[%w.]*load' %(the path holds a zero byte", "a zero byte in a path", fv.load, "x\0.npy")
tap.raises("unknown option 'mmpa' %(did you mean 'mmap'", "unknown option", fv.load, "x.npy", { mmpa = true })
tap.raises("#2 to '[%w.]*load' %(name:", "a name for .npy", fv.load, "x.npy", { name = "a" })
tap.raises("#2 to '[%w.]*load' %(mmap:", "mapping a .npz", fv.load, "x.npz", { mmap = true })
tap.raises("#2 to '[%w.]*save' %(expected one tensor", "a table into .npy", fv.save, dir .. "/x.npy",
  { a = x })
tap.raises("#2 to '[%w.]*save' %(expected a table", "a tensor into .npz", fv.save, dir .. "/x.npz", x)
tap.raises("#2 to '[%w.]*save' %(a: expected a tensor, got a number", "a number as tensor", fv.save,
  dir .. "/x.npz", { a = 1 })
tap.raises("expected strings as names, got a number", "a list of tensors", fv.save, dir .. "/x.npz", { x })
tap.raises("zero byte", "a zero byte in a name", fv.save, dir .. "/x.npz", { ["a\0b"] = x })
tap.raises("only .safetensors", "metadata into .npz", fv.save, dir .. "/x.npz", {}, { metadata = {} })
tap.raises("metadata: a: expected a string, got a boolean", "metadata that are not strings", fv.save,
           dir .. "/x.safetensors", {}, { metadata = { a = true } })
tap.raises("cannot be named __metadata__", "a reserved name", fv.save, dir .. "/q.safetensors",
  { __metadata__ = x })
tap.raises("UTF%-8", "a name that is not UTF-8", fv.save, dir .. "/q.safetensors", { ["\xff"] = x })
tap.raises("No such file", "a missing file", fv.load, dir .. "/missing.npy")
os.execute("mkdir " .. dir .. "/d.npy " .. dir .. "/void && mkfifo " .. dir .. "/p.npy")
tap.raises("is a directory", "loading a directory", fv.load, dir .. "/d.npy")
tap.raises("is a directory", "saving over a directory", fv.save, dir .. "/d.npy", x)
tap.raises("not a regular file", "loading a pipe", fv.load, dir .. "/p.npy")
tap.raises("not a regular file", "saving over a pipe", fv.save, dir .. "/p.npy", x)
tap.raises("No such file", "saving into a directory that is not there", fv.save, dir .. "/no/x.npy", x)
do
  spit(dir .. "/void/x.npy", "before")
  local path = dir .. "/void/x.npy"
  local out = run(("ulimit -f 8; %s -e 'print(pcall(fv.save, [[%s]], fv.zeros(100000)))'"):format(exe, path))
  tap.ok(out:find "^false%s+fv.save: '.*cannot be written: File too large", "no room for a file is an error",
    "%s", out)
  tap.is(slurp(path), "before", "the file that was there is untouched")
  tap.is(run("ls " .. dir .. "/void"), "x.npy\n", "nothing half-written is left")
  os.execute(("ln -s x.npy %s/void/l.npy; chmod 600 %s"):format(dir, path))
  fv.save(dir .. "/void/l.npy", x)
  same(fv.load(path), x, "saving through a link writes its target")
  tap.is(run("stat -c %a " .. path), "600\n", "the mode of a file is kept")
end

-- ---- mappings ---------------------------------------------------------------

do
  local path = dir .. "/map.npy"
  fv.save(path, fv.arange(1, 4096, { dtype = "f64" }))
  local view = fv.load(path, { mmap = true }):set(2, -1):reshape(64, 64):t()
  collectgarbage()
  collectgarbage()
  tap.is(view:get(2, 1), -1, "a view keeps the mapping alive, and sees what was written")
  tap.is(fv.load(path):get(2), 2, "what is written to a mapped tensor stays out of the file")
  fv.save(path, fv.zeros(4096, { dtype = "f64" }))
  tap.is(view:get(3, 1), 3, "saving over a mapped file leaves the mapping as it was")
  spit(dir .. "/s.lua", ([[
    local m = fv.load("%s", { mmap = true })
    io.open("%s", "w"):close()
    m:set(1, 7)
    print(m:get(4096), m:get(1), m:get(600))]]):format(path, path))
  fv.save(path, fv.ones(4096, { dtype = "f64" }))
  local out = run(exe .. " " .. dir .. "/s.lua")
  tap.ok(out:find "0.0%s+7.0%s+0.0" and out:find "shrank while mapped", "a mapped file may shrink", "%s", out)
end

-- ---- NumPy ----------------------------------------------------------------------

local python
for _, p in ipairs { "/usr/bin/python3", "python3" } do
  python = python or (os.execute(p .. " -c 'import numpy' 2>/dev/null") and p)
end
if python then
  spit(dir .. "/n.py", [[
import numpy as np, sys
d = sys.argv[1]
if sys.argv[2] == "write":
    r = np.random.default_rng(1)
    a = {t: (r.standard_normal((3, 4)) * 50).astype(t) for t in
         ["f2", "f4", "f8", "i1", "i2", "i4", "i8"]}
    a["u1"] = np.arange(12, dtype="u1").reshape(3, 4); a["bool"] = a["u1"] % 2 == 0
    a["fortran"] = np.asfortranarray(np.arange(24.).reshape(2, 3, 4))
    np.savez(d + "/np.npz", **a); np.savez_compressed(d + "/npc.npz", **a)
    np.save(d + "/np.npy", a["fortran"])
    with open(d + "/np.txt", "w") as f:
        for k, v in a.items(): f.write(k + " " + " ".join(repr(float(x)) for x in v.ravel()) + "\n")
else:
    z = np.load(d + "/x.npz")
    t = np.arange(1, 25).reshape(2, 3, 4)
    assert z["six"].shape == (2,) * 6 and z["scalar"].shape == () and z["empty"].shape == (3, 0, 2)
    assert (z["turned"] == t.transpose(2, 1, 0)).all() and z["turned"].dtype == np.int64
    assert z["u8"].dtype == np.uint8 and z["f32"].dtype == np.float32
    assert np.array_equal(np.load(d + "/x.npy"), t.transpose(0, 2, 1))
    print("agreed")
]])
  print("# numpy of " .. python)
  run(("%s %s/n.py %s write"):format(python, dir, dir))
  local a, b, wrong = fv.load(dir .. "/np.npz"), fv.load(dir .. "/npc.npz"), 0
  for line in io.lines(dir .. "/np.txt") do
    local name, i = line:match "^%S+", 0
    local va, vb = a[name]:contiguous():reshape(-1), b[name]:contiguous():reshape(-1)
    for w in line:sub(#name + 1):gmatch "%S+" do
      i = i + 1
      if va:get(i) ~= tonumber(w) or vb:get(i) ~= tonumber(w) then wrong = wrong + 1 end
    end
    wrong = wrong + (i - va:numel())
  end
  tap.is(wrong, 0, "every element of NumPy's archives, stored and compressed")
  tap.is(fv.load(dir .. "/np.npy"):get(2, 3, 4), 23.0, "NumPy's Fortran order")
  fv.save(dir .. "/x.npz", samples)
  fv.save(dir .. "/x.npy", fv.arange(1, 24):reshape(2, 3, 4):transpose(2, 3))
  tap.is(run(("%s %s/n.py %s read"):format(python, dir, dir)), "agreed\n", "NumPy reads ours")
else
  tap.ok(true, "NumPy agrees # SKIP NumPy is not installed")
end

os.execute("rm -rf " .. dir)
tap.done()
