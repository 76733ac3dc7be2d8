--- Windows of a UTF-8 text, by byte or by word.

local corpus = require "fovea.corpus"
local windows = require "fovea.windows"

local sets = {
  genesis = { sample = "genesis.txt" },
  kjv = { package = "bible-kjv", command = "bible -f 'gen1:1-rev22:21' | sed 's/^[^ ]* //'" }
}

local function bytes(text)
  local id = {}
  for b = 0, 255 do id[b] = b + 1 end
  return { n = #text, vocab = 256,
    run = function(i, j) return windows.bytes(text:sub(i, j), id) end,
    encode = function(s) return windows.bytes(s, id).get(1, #s) end,
    word = function(i) return string.char(i - 1) end, gap = "" }
end

local function split_words(text)
  local list = {}
  for w in text:lower():gsub("%p", " %0 "):gmatch "%S+" do list[#list + 1] = w end
  return list
end

--- Words and marks; the commonest 'most' - 1 have ids from 2, all others are 1.  Counted
--- over the training blocks alone, so that the vocabulary knows nothing of the other splits.
local function words(text, most, block_of)
  local list = split_words(text)
  local block = block_of(#list)
  local count, known = {}, {}
  for i, w in ipairs(list) do
    if corpus.place((i - 1) // block + 1) == "train" then count[w] = (count[w] or 0) + 1 end
  end
  for w in pairs(count) do known[#known + 1] = w end
  table.sort(known, function(a, b)
    if count[a] ~= count[b] then return count[a] > count[b] end
    return a < b
  end)
  local id, word = {}, { "<unknown>" }
  for i = 1, math.min(most - 1, #known) do id[known[i]], word[i + 1] = i + 1, known[i] end
  local function encode(l)
    local out = {}
    for i, w in ipairs(l) do out[i] = id[w] or 1 end
    return out
  end
  local ids = encode(list)
  return { n = #ids, vocab = #word,
    run = function(i, j) return windows.list(table.move(ids, i, j, 1, {})) end,
    encode = function(s) return encode(split_words(s)) end,
    word = function(i) return word[i] end, gap = " " }
end

return {
  name = "text",
  doc = "Windows of a UTF-8 text: ids and the ids one place later, i64 (batch, length).\n"
     .. "level \"byte\": 256 ids, byte + 1. level \"word\": lower-case words and marks, the commonest\n"
     .. "vocab - 1 of the training split from 2 on, others 1. The text is cut into blocks and each\n"
     .. "block belongs to one split by the hash of its place; windows stay inside a split.\n"
     .. "objective \"masked\": as for proteins (fasta), the mask being the last of vocab + 1 ids.\n"
     .. "d:encode(text) -> list of ids; d:decode(list or i64 (n)) -> text, of (b, n) a list of texts.\n"
     .. "d.runs holds each split whole.",
  ref = "set genesis: King James Version, public domain; set kjv: Debian's bible-kjv; masking: Devlin\n"
     .. "et al. 2019, arXiv:1810.04805",
  options = {
    { "path", "string", "", "file to read; the set unless given" },
    { "set", "string", "genesis", "genesis ships with Fovea; kjv is Debian's package bible-kjv",
      choices = { "genesis", "kjv" } },
    { "level", "string", "byte", "what a token is", choices = { "byte", "word" } },
    { "objective", "string", "causal", "what labels ask for: the next token, or those under a mask",
      choices = { "causal", "masked" } },
    { "rate", "number", 0.15, "share of tokens with labels where masked", lo = 0.001, hi = 1 },
    { "vocab", "integer", 2000, "most ids at level word", lo = 2, hi = 1000000 },
    { "block", "integer", nil, "tokens of a block; 4096, or 1/50 of a short text", lo = 2 }
  },
  call = {
    { "batch", "integer", 16, "windows", lo = 1, hi = 65536 },
    { "length", "integer", 128, "tokens of a window", lo = 1, hi = 1048576 }
  },
  example = 'd = fv.data("text", {level="byte"}); b = d:batch("train", 1, {batch=8, length=64})',
  build = function(opt, name)
    local text, what = corpus.text(opt, sets, name)
    local good, at = utf8.len(text)
    if not good then error(("%s: %s is not UTF-8: byte %d cannot be read"):format(name, what, at), 0) end
    local function block_of(n) return opt.block or math.max(2, math.min(4096, n // 50)) end
    local t = opt.level == "byte" and bytes(text) or words(text, opt.vocab, block_of)
    local block = block_of(t.n)
    if t.n < 10 * block then
      error(("%s: %s is too short: %d tokens, expected at least 10 blocks of %d"):format(name, what, t.n,
            block), 0)
    end
    local runs = windows.cut(t.n, block, t.run)
    local w = windows.new(runs)
    local masked = opt.objective == "masked"
    local vocab = masked and t.vocab + 1 or t.vocab
    local encode, decode = windows.codec(name, vocab, t.encode,
                                         function(i) return i > t.vocab and "<mask>" or t.word(i) end, t.gap)
    return { sizes = w.sizes, vocab = vocab, runs = runs, encode = encode, decode = decode,
      draw = function(split, stream, v)
        local list = w.draw(split, stream, v.batch, v.length, name)
        if not masked then return windows.next(list, v.length) end
        return windows.mask(list, v.length, stream,
                            { rate = opt.rate, mask = t.vocab + 1, others = t.vocab })
      end }
  end
}
