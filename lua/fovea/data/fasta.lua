--- Proteins from a FASTA file, for next-residue and masked models.

local corpus = require "fovea.corpus"
local windows = require "fovea.windows"

local sets = {
  sample = { sample = "proteins.fasta" },
  mmseqs2 = { package = "mmseqs2-examples", file = "/usr/share/doc/mmseqs2/example-data/DB.fasta.gz" }
}

local acids = "ACDEFGHIKLMNPQRSTVWY"
local OTHER, STOP, MASK = 21, 22, 23
local id = {}
for c in ("ABCDEFGHIJKLMNOPQRSTUVWXYZ"):gmatch "." do id[c:byte()] = acids:find(c, 1, true) or OTHER end
id[("*"):byte()] = STOP

--- The sequences of a FASTA text, upper case; raises for what is none.
local function parse(text, what, who)
  local list, parts, title, number, ended = {}, {}, nil, 0, false
  local function bad(why, ...)
    error(("%s: %s, line %d: "):format(who, what, number) .. why:format(...), 0)
  end
  local function close()
    if not title then return end
    if #parts == 0 then bad("the sequence '%s' is empty", title:sub(1, 40)) end
    list[#list + 1] = table.concat(parts)
    parts, ended = {}, false
  end
  for line in text:gmatch "([^\n]*)\n?" do
    number = number + 1
    line = line:gsub("%s+$", "")
    if line:sub(1, 1) == ">" then
      close()
      title = line:sub(2)
    elseif line ~= "" and line:sub(1, 1) ~= ";" then
      if not title then bad("expected '>' and a title first, got %q", line:sub(1, 20)) end
      if ended then bad "expected '>' after '*', the end of a sequence" end
      line, ended = line:upper():gsub("%*$", "")
      ended = ended > 0
      local odd = line:find "[^A-Z]"
      if odd then
        bad("expected letters of amino acids%s, got %q", line:find "[-.]" and " without gaps" or "",
            line:sub(odd):match(utf8.charpattern))
      end
      if line ~= "" then parts[#parts + 1] = line end
    end
  end
  close()
  if #list == 0 then
    error(("%s: %s holds no sequence: expected FASTA, '>title' lines"):format(who, what), 0)
  end
  return list
end

return {
  name = "fasta",
  doc = "Windows of proteins: ids i64 (batch, length), 1 .. 20 the amino acids ACDEFGHIKLMNPQRSTVWY,\n"
     .. "21 any other letter, 22 between two proteins, 23 the mask; d.vocab is 23. Sequences of a\n"
     .. "split follow each other in the file's order. objective \"causal\": labels are the ids one place\n"
     .. "later. \"masked\": a share 'rate' of the residues has labels, all others -100; in ids 80 % of\n"
     .. "these are the mask, 10 % a random acid, 10 % themselves. The hash of a sequence decides its\n"
     .. "split: equal ones share it, related ones need not. d:encode and d:decode are as for text,\n"
     .. "with X for 21, * for 22 and _ for 23.",
  ref = "masking: Devlin et al. 2019, arXiv:1810.04805; sets: UniProt Consortium, CC BY 4.0",
  options = {
    { "path", "string", "", "FASTA file to read; the set unless given" },
    { "set", "string", "sample", "sample ships with Fovea (200 proteins); mmseqs2: 20,000, Debian's "
      .. "package mmseqs2-examples", choices = { "sample", "mmseqs2" } },
    { "objective", "string", "causal", "what labels ask for", choices = { "causal", "masked" } },
    { "rate", "number", 0.15, "share of residues with labels where masked", lo = 0.001, hi = 1 }
  },
  call = {
    { "batch", "integer", 16, "windows", lo = 1, hi = 65536 },
    { "length", "integer", 128, "tokens of a window", lo = 1, hi = 1048576 }
  },
  example = 'd = fv.data("fasta", {objective="masked"}); b = d:batch("train", 1, {batch=8, length=256})',
  build = function(opt, name)
    local text, what = corpus.text(opt, sets, name)
    local parts = { train = {}, validation = {}, test = {} }
    for _, s in ipairs(parse(text, what, name)) do
      local list = parts[corpus.content(s)]
      list[#list + 1] = s
    end
    local runs, counts = {}, {}
    for split, list in pairs(parts) do
      runs[split] = { windows.bytes(table.concat(list, "*"), id) }
      counts[split] = #list
    end
    local w = windows.new(runs)
    local letters = acids .. "X*_"
    local function letters_of(s)
      s = s:upper()
      local odd = s:find "[^A-Z*]"
      if odd then error(("%s: encode: expected amino acids and *, got %q"):format(name, s:sub(odd, odd)), 3) end
      return windows.bytes(s, id).get(1, #s)
    end
    local encode, decode = windows.codec(name, MASK, letters_of, function(i) return letters:sub(i, i) end)
    return { sizes = w.sizes, sequences = counts, vocab = MASK, runs = runs, encode = encode, decode = decode,
      draw = function(split, stream, v)
        local list = w.draw(split, stream, v.batch, v.length, name)
        if opt.objective == "causal" then return windows.next(list, v.length) end
        return windows.mask(list, v.length, stream,
                            { rate = opt.rate, mask = MASK, others = #acids, skip = STOP })
      end }
  end
}
