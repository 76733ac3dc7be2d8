-- Data sets: batches that are functions of the step, splits that stay apart, and files
-- that lie.

local tap = require "tap"
local files = require "files"
local fv = require "fovea"
local corpus = require "fovea.corpus"

local exe, dir, read, write = files.exe, files.dir, files.slurp, files.write

local function same(a, b)
  return table.concat(a:reshape(-1):totable(), ",") == table.concat(b:reshape(-1):totable(), ",")
end

--- Byte i of this text is known from the three letters round it: every window can be placed.
local marks = {}
for i = 0, 2999 do marks[#marks + 1] = ("%05d."):format(i) end
local numbered = write("numbered.txt", table.concat(marks))

-- ---- batches ----

local d = fv.data("text", { path = numbered, seed = 3, block = 600 })
local given = { batch = 8, length = 40 }
local b = d:batch("train", 7, given)
tap.ok(same(b.ids, d:batch("train", 7, given).ids), "a batch can be made again")
for i = 1, 3 do d:batch("train", i, given) end
tap.ok(same(b.ids, fv.data("text", { path = numbered, seed = 3, block = 600 }):batch("train", 7, given).ids),
       "whatever was drawn before it, and by whom")
tap.ok(not same(b.ids, d:batch("train", 8, given).ids), "steps differ")
tap.ok(not same(b.ids, fv.data("text", { path = numbered, seed = 4, block = 600 })
       :batch("train", 7, given).ids), "seeds differ")
tap.ok(same(b.ids:slice(2, 2, 40), b.labels:slice(2, 1, 39)), "labels are the ids one place later")
tap.is(b.ids:dtype() .. table.concat({ b.ids:shape() }, "x"), "i648x40", "ids are i64 (batch, length)")
tap.is(d:decode(d:encode "héllo"), "héllo", "what is encoded is decoded")

-- ---- splits of a text ----

--- The numbers written in windows of many batches.
local function seen(split)
  local all = {}
  for step = 1, 60 do
    local w = d:batch(split, step, { batch = 8, length = 100 })
    for i = 1, 8 do
      local text = d:decode(w.ids[i]:totable()) .. d:decode(w.labels[i]:slice(1, 100, 100):totable())
      for n in text:gmatch "%.(%d%d%d%d%d)%f[%.]" do all[n] = true end
    end
  end
  return all
end
local parts, overlap, count = {}, 0, {}
for _, split in ipairs(corpus.splits) do
  parts[split], count[split] = seen(split), 0
  for n in pairs(parts[split]) do
    count[split] = count[split] + 1
    for other, set in pairs(parts) do
      if other ~= split and set[n] then overlap = overlap + 1 end
    end
  end
end
tap.is(overlap, 0, "no window of one split holds a byte of another")
tap.ok(count.train > 2200 and count.validation > 280 and count.test > 280,
       "windows reach nearly all of each split", "%d, %d, %d", count.train, count.validation, count.test)
tap.is(d.sizes.train + d.sizes.validation + d.sizes.test, 18000, "every byte is in one split")
tap.is(d.sizes.validation, 1800, "one block in ten is for validation")
do
  local validation, test = 0, 0
  for i = 1, 10000 do
    local s = corpus.place(i)
    if s == "validation" then validation = validation + 1 elseif s == "test" then test = test + 1 end
  end
  tap.ok(validation == 1000 and test == 1000, "every ten places give one each")
end
tap.ok(fv.data("text", { path = numbered, seed = 99, block = 600 }).runs.test[1].get(1, 30)[1]
       == d.runs.test[1].get(1, 30)[1], "the seed does not move the splits")

local w = fv.data("text", { level = "word", vocab = 50 })
local wb = w:batch("train", 1, given)
tap.ok(w.vocab == 50 and wb.ids:max():item() <= 50 and wb.ids:min():item() >= 1, "word ids are 1 .. vocab")
tap.is(w:decode(w:encode "And the LORD, God"), "and the lord , god", "words are lower case, marks apart")

-- ---- proteins ----

local f = fv.data "fasta"
tap.is(f.sequences.train + f.sequences.validation + f.sequences.test, 200, "the sample has 200 proteins")
tap.ok(f.sequences.validation >= 8 and f.sequences.test >= 8, "each split has some")
local ACID = "ACDEFGHIKLMNPQRSTVWY"
local fasta = { ">first", "acdef", "GHIKL", "", ">other", "MNPQRSTVWYX*" }
for i = 1, 40 do fasta[#fasta + 1] = (">n%d\n%s"):format(i, ACID:rep(i % 3 + 1):sub(1, 20 + i)) end
local path = write("p.fasta", table.concat(fasta, "\r\n"))
local p = fv.data("fasta", { path = path })
local all = {}
for _, split in ipairs(corpus.splits) do
  for _, id in ipairs(p.runs[split][1].get(1, p.runs[split][1].n)) do all[id] = true end
end
tap.ok(all[1] and all[20] and all[21] and all[22] and not all[23],
       "acids, another letter and the stop have ids")
local where = {}
for i = 1, 500 do
  local s = ACID:rep(3):sub(i % 20 + 1, i % 20 + 1 + i % 30)
  where[s] = where[s] or corpus.content(s)
  if where[s] ~= corpus.content(s) then where.moved = true end
end
tap.ok(not where.moved, "equal sequences share a split")

local m = fv.data("fasta", { objective = "masked", rate = 0.15 })
local clean = fv.data "fasta"
local masked, kept, acid, total, asked, wrong = 0, 0, 0, 0, 0, 0
for step = 1, 40 do
  local size = { batch = 8, length = 64 }
  local x, y = m:batch("train", step, size), clean:batch("train", step, size)
  local ids, labels, true_ids = x.ids:reshape(-1):totable(), x.labels:reshape(-1):totable(),
    y.ids:reshape(-1):totable()
  for i = 1, #ids do
    total = total + 1
    if labels[i] == -100 then
      if ids[i] ~= true_ids[i] then wrong = wrong + 1 end
    else
      asked = asked + 1
      if labels[i] ~= true_ids[i] then wrong = wrong + 1 end
      if ids[i] == 23 then masked = masked + 1
      elseif ids[i] == labels[i] then kept = kept + 1
      else acid = acid + 1 end
    end
  end
end
tap.is(wrong, 0, "labels are the residues under the mask, other ids are untouched")
--- |share - p| within four standard errors of a binomial
local function share(n, of, rate, name)
  tap.ok(math.abs(n / of - rate) < 4 * math.sqrt(rate * (1 - rate) / of), name, "%d of %d", n, of)
end
share(asked, total, 0.15, "15 % of the residues are asked for")
share(masked, asked, 0.8, "80 % of these are masked")
share(kept, asked, 0.1 + 0.1 / 20, "10 % stay, and a random acid is the same once in 20")

-- ---- tables ----

local rows = { "a,b,class" }
for i = 1, 200 do rows[#rows + 1] = ("%d,%g,%d"):format(i, i / 4, i % 3 + 5) end
local c = fv.data("csv", { path = write("t.csv", table.concat(rows, "\n") .. "\n"), label = "class" })
local cb = c:batch("train", 1, { batch = 64 })
tap.ok(c.columns == 2 and c.classes == 3, "a csv has columns and classes")
tap.ok(cb.x:slice(2, 1, 1):mul(0.25):eq(cb.x:slice(2, 2, 2)):all():item() == 1
       and (cb.x:slice(2, 1, 1):reshape(64):to "i64" % 3 + 1):eq(cb.y):all():item() == 1,
       "rows stay together with their labels")
local apart, inside = {}, true
for _, split in ipairs(corpus.splits) do
  for step = 1, 20 do
    for _, v in ipairs(c:batch(split, step, { batch = 64 }).x:slice(2, 1, 1):reshape(64):totable()) do
      inside = inside and (apart[v] or split) == split
      apart[v] = split
    end
  end
end
tap.ok(inside, "no row is in two splits")

fv.save(dir .. "/a.npz", { x = fv.arange(1, 40):reshape(20, 2), y = fv.arange(1, 20) })
local nz = fv.data("npz", { path = dir .. "/a.npz" }):batch("train", 1, { batch = 6 })
tap.ok((nz.x:slice(2, 1, 1):reshape(6) + 1):eq(nz.y * 2):all():item() == 1, "rows of arrays stay together")

local function idx(type, dims, body)
  local s = "\0\0" .. string.char(type, #dims)
  for _, n in ipairs(dims) do s = s .. (">I4"):pack(n) end
  return s .. body
end
local pixels, digit = {}, {}
for i = 0, 29 do
  pixels[#pixels + 1] = string.char(i, 255, 0, i * 2)
  digit[#digit + 1] = string.char(i % 10)
end
local images = write("images.idx", idx(8, { 30, 2, 2 }, table.concat(pixels)))
local labels = write("labels.idx", idx(8, { 30 }, table.concat(digit)))
local im = fv.data("idx", { images = images, labels = labels })
local ib = im:batch("train", 1, { batch = 5 })
tap.ok(im.classes == 10 and table.concat({ ib.x:shape() }, "x") == "5x2x2", "images have their shape")
local first = (ib.x:slice(2, 1, 1):slice(3, 1, 1) * 255):round():reshape(5):to "i64"
tap.ok(ib.x:max():item() == 1 and (first % 10 + 1):eq(ib.y):all():item() == 1,
       "bytes become 0 .. 1, labels count from 1")

do
  local function mine(name, made)
    fv.data.register { name = name, doc = "Mine.", build = function() return made end }
    return fv.data(name)
  end
  local d = mine("one_split", { sizes = { train = 3 }, draw = function() return { x = fv.ones(1) } end })
  tap.ok(tostring(d):find "\ntrain 3$" and d:batch("train", 1).x, "data of a script may have one split")
  tap.raises('split: expected "train", got "test"$', "and asked for another they say so", d.batch, d, "test", 1)
  tap.raises("data 'no_sizes': expected its build to return { sizes", "but say its size", mine, "no_sizes",
             { draw = function() end })
end

-- ---- files as other programs write them ----

do
  local plain = fv.data("csv", { path = write("plain.csv", "a,b\n1,2\n3,4\n5,6\n") }):batch("train", 1)
  for how, text in pairs { ["with CRLF and a byte-order mark"] = "\xef\xbb\xbfa,b\r\n1,2\r\n3,4\r\n5,6\r\n",
                           ["with quotes and spaces"] = '"a","b"\n"1", 2\n 3 ,"4"\n5,6',
                           ["without a header"] = "\xef\xbb\xbf1,2\n3,4\n5,6\n" } do
    local d = fv.data("csv", { path = write("other.csv", text) })
    tap.ok(table.concat(d.header or { "-" }, "|") == (how:find "without" and "-" or "a|b") and d.sizes.train
           + d.sizes.validation + d.sizes.test == 3 and (how:find "CRLF" == nil
           or d:batch("train", 1).x:eq(plain.x):all():item() == 1), "a csv " .. how .. " is read")
  end
  local d = fv.data("csv", { path = write("q.csv", '"name, ""full""",b\n1,2\n') })
  tap.is(d.header[1], 'name, "full"', "separators and quotes inside quotes belong to the field")
  d = fv.data("csv", { path = write("q.csv", '"a b" "c"\n"1" 2\n3 "4"\n'), separator = " " })
  tap.is(table.concat(d.header, "|"), "a b|c", "a space may separate fields in quotes")
  tap.is(d.classes, false, "without labels there are no classes")
  local years = { path = write("years.csv", "1990,1991\n1,2\n"), header = true }
  tap.is(fv.data("csv", years).header[2], "1991", "a header of numbers is one where that is said")
  years.label = "1990"
  tap.is(fv.data("csv", years).classes, 1, "whose names are labels")
  local p = fv.data("fasta", { path = write("crlf.fasta", "\xef\xbb\xbf>a\r\nacde\r\nFG*\r\n") })
  tap.is(p:decode(p.runs.train[1] and p.runs.train[1].get(1, 6) or p:encode "acdefg"), "ACDEFG",
         "FASTA in lower case with CRLF, a mark and a final * is read")
  local pipe = io.popen(("printf '1,2\\n3,4\\n' | %s -e 'local d = fv.data(\"csv\", { path = \"/dev/stdin\" }) "
    .. "print(d.sizes.train + d.sizes.validation + d.sizes.test)'"):format(exe))
  tap.is(pipe:read "a", "2\n", "a pipe is read from its first byte")
  pipe:close()
end

-- ---- ids and text ----

do
  local b = d:batch("train", 3, { batch = 2, length = 20 })
  tap.is(d:decode(b.ids)[2], d:decode(b.ids[2]:totable()), "decode takes batches of ids")
  tap.is(d:decode(b.ids[1]:slice(1, 2, 20)), d:decode(b.labels[1]:slice(1, 1, 19)), "and rows of them")
  tap.raises("text: decode: expected ids in 1 .. 256, got 257", "ids beyond the vocabulary are refused", d.decode, d,
             { 257 })
  tap.raises("text: decode: expected a list or an i64 tensor of ids, got string", "text is not decoded", d.decode, d,
             "a")
  tap.raises("text: encode: expected a string, got nil", "nothing is not encoded", d.encode, d)
  tap.is(fv.data("text", { objective = "masked" }):decode { 257, 66 }, "<mask>A", "the mask has a name")
  local p = fv.data "fasta"
  tap.is(p:decode(p:encode "acdyB*") .. p:decode { 23 }, "ACDYX*_", "proteins are letters")
  tap.raises('fasta: encode: expected amino acids and %*, got "1"', "digits are none", p.encode, p, "A1")
  tap.ok(tostring(d):find "\ntrain %d+, validation %d+, test %d+, vocab 256$", "data print their sizes", "%s",
         tostring(d))
end

-- ---- what is refused ----

local function refuses(pattern, name, kind, opt, ...)
  local args = { ... }
  tap.raises(pattern, name, function()
    local x = fv.data(kind, opt)
    if #args > 0 then x:batch(table.unpack(args)) end
  end)
end
refuses("nothing is named 'txt'; did you mean 'text'", "an unknown kind", "txt")
refuses("split: expected .* got .tets. %(did you mean 'test'", "an unknown split", "text", {}, "tets", 1)
refuses("step: expected a whole number from 1, got 0", "step 0", "text", {}, "train", 0)
refuses("length': expected at most %d+ in the validation split", "a window longer than a split", "text", {},
        "validation", 1, { length = 100000 })
refuses("cannot read .*none%.txt", "a missing file", "text", { path = dir .. "/none.txt" })
refuses("not UTF%-8: byte 4001", "text that is not UTF-8", "text",
        { path = write("bad.txt", ("a"):rep(4000) .. "\255") })
refuses("too short", "a short text", "text", { path = write("s.txt", "ab") })
refuses("'[^']*' is not a file", "a folder", "text", { path = dir })
refuses("line 1: expected '>' and a title", "text that is no FASTA", "fasta", { path = numbered })
refuses("holds no sequence", "an empty FASTA file", "fasta", { path = write("e.fasta", "\n") })
refuses("the sequence 'a' is empty", "a title without a sequence", "fasta",
        { path = write("t.fasta", ">a\n>b\nAC\n") })
refuses('line 2: expected letters of amino acids, got "1"', "digits in a protein", "fasta",
        { path = write("d.fasta", ">a\nAC1\n") })
refuses("line 3: expected 2 fields, got 1", "a ragged csv", "csv", { path = write("r.csv", "1,2\n3,4\n5\n") })
refuses('line 2, field 2: expected a number, got "x"', "words in a csv", "csv",
        { path = write("w.csv", "1,2\n3,x\n") })
refuses("holds no row", "an empty csv", "csv", { path = write("e.csv", "") })
refuses("a column of .*1 %.%. 2", "a label that is no column", "csv",
        { path = write("l.csv", "1,2\n"), label = "9" })
refuses("not whole numbers", "labels that are fractions", "csv",
        { path = write("h.csv", "1,2.5\n"), label = "2" })
refuses("line 1, field 2: expected a number that f32 can hold, got 1e999", "a csv with infinities", "csv",
        { path = write("i.csv", "1,1e999\n") })
refuses("line 2, field 1: expected a number that f32 can hold, got 1e39", "and with what f32 makes one", "csv",
        { path = write("i.csv", "1,2\n1e39,3\n") })
refuses('line 2, field 1: expected a number, got "0x10"', "numbers that are not decimal", "csv",
        { path = write("x.csv", "1,2\n0x10,3\n") })
refuses("line 2: a quote does not end on its line", "an open quote", "csv", { path = write("q.csv", '1,2\n"3,4\n') })
refuses("line 1: text follows a closing quote", "text after a quote", "csv", { path = write("q.csv", '"1"0,2\n') })
refuses("line 1 has words and numbers: header=true", "a first line that may be either", "csv",
        { path = write("m.csv", "1,oops\n3,4\n") })
refuses('line 1, field 2: expected a number, got "oops"', "one that is said to be a row", "csv",
        { path = dir .. "/m.csv", header = false })
refuses("columns 1 and 2 of .* are both named 'a': give a number", "a label two columns have", "csv",
        { path = write("t.csv", "a,a\n1,2\n"), label = "a" })
refuses("column 1 spans 2000001 values: expected classes", "labels that are no classes", "csv",
        { path = write("k.csv", "0,1\n2000000,1\n"), label = "1" })
refuses("line 3: expected '>' after '%*', the end of a sequence", "a sequence that goes on after its end", "fasta",
        { path = write("o.fasta", ">a\nAC*\nDE\n") })
refuses('letters of amino acids without gaps, got "%-"', "an alignment", "fasta",
        { path = write("g.fasta", ">a\nAC-D\n") })
refuses("the validation split is empty: the data are too short", "a split with nothing in it", "fasta",
        { path = write("v.fasta", ">a\nACD\n") }, "validation", 1, { length = 2 })
refuses("ends inside its header of 3 dimensions", "an IDX file that is cut in its header", "idx",
        { images = write("h.idx", idx(8, { 30, 2, 2 }, ""):sub(1, 9)) })
refuses("label 2: expected a class from 0, got %-1", "labels below 0", "idx",
        { images = write("g.idx", idx(8, { 2, 1, 1 }, "ab")), labels = write("b.idx", idx(9, { 2 }, "\1\255")) })
do
  local limit = corpus.limit
  corpus.limit = 2 ^ 21
  refuses("/dev/zero' cannot be read: holds more than 2 MB", "a file without an end", "text", { path = "/dev/zero" })
  corpus.limit = limit
end
refuses("not an IDX file", "text that is no IDX", "idx", { images = numbered })
refuses("asks for %(30,2,2%)", "an IDX file cut short", "idx",
        { images = write("c.idx", idx(8, { 30, 2, 2 }, ("x"):rep(119))) })
refuses("asks for", "sizes that lie", "idx",
        { images = write("l.idx", idx(0x0E, { 2 ^ 32 - 1, 2 ^ 32 - 1, 2 ^ 32 - 1 }, "12345678")) })
refuses("expected 30 whole numbers", "labels that do not fit", "idx",
        { images = images, labels = write("n.idx", idx(8, { 3 }, "abc")) })
fv.save(dir .. "/s.npz", { a = fv.zeros(3), b = fv.full({}, 1) })
refuses("'b' has no rows: its shape is %(%)", "an array without a first dimension", "npz", { path = dir .. "/s.npz" })
refuses("^npz: fv.load: '[^']*cut.npz': is not a zip archive", "an .npz cut short", "npz",
        { path = write("cut.npz", read(dir .. "/s.npz"):sub(1, 40)) })
fv.save(dir .. "/u.npz", { a = fv.zeros(3), b = fv.zeros(4) })
refuses("must share their first size: 'a' has 3 rows, 'b' has 4", "arrays of different lengths", "npz",
        { path = dir .. "/u.npz" })
write("z.txt.gz", "\31\139\8\0broken")
refuses("cannot be decompressed", "a damaged .gz", "text", { path = dir .. "/z.txt.gz" })
tap.raises("set 'x' is not on this machine; install it: apt%-get install no%-such%-package",
           "a missing package", corpus.set, { package = "no-such-package", file = "/no/such/file" }, "x",
        "text")
tap.raises("install no%-such%-package", "a missing command of a package", corpus.set,
           { package = "no-such-package", command = "no-such-command" }, "x", "text")

os.execute("rm -r " .. dir)
tap.done()
