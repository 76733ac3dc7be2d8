--- Word vectors from a text: positive pointwise mutual information and a
--- truncated singular value decomposition.
---
---   P_ij = max(0, log( n_ij n / (n_i n_j) )),  n_ij: word j within 'window'
---          words after word i, weighted by 1 / distance
---   P ~ U S V'     queries U S^(1/2), keys V S^(1/2)
---
--- The two factors differ, because what follows a word differs from what it
--- follows: q_i . k_j approximates P_ij, an asymmetric relation between words
--- (Levy & Goldberg 2014; Levy, Goldberg & Dagan 2015 for the factors' split).
--- The decomposition is by random projection and power steps (Halko,
--- Martinsson & Tropp 2011).

local fv = require "fovea"

local words = {}

--- Lower-case words of UTF-8 text, in order.  Raises where it is not UTF-8.
function words.tokens(text, path)
  local good, at = utf8.len(text)
  if not good then
    error(("%s: not UTF-8 text: byte %d cannot be read"):format(path, at), 0)
  end
  local list = {}
  for w in text:lower():gmatch "[%a\128-\255]+" do list[#list + 1] = w end
  return list
end

--- ids of the tokens (0: not among the 'most' commonest words), and the words.
function words.vocabulary(tokens, most)
  local count, list = {}, {}
  for _, w in ipairs(tokens) do count[w] = (count[w] or 0) + 1 end
  for w in pairs(count) do list[#list + 1] = w end
  table.sort(list, function(a, b)
    if count[a] ~= count[b] then return count[a] > count[b] end
    return a < b
  end)
  local id, kept = {}, {}
  for i = 1, math.min(most, #list) do id[list[i]], kept[i] = i, list[i] end
  local ids = {}
  for i, w in ipairs(tokens) do ids[i] = id[w] end   -- rare words are left out
  local dense = {}
  for i = 1, #tokens do if ids[i] then dense[#dense + 1] = ids[i] end end
  return dense, kept
end

--- The PPMI matrix of 'n' words, (n,n) f32.
function words.ppmi(ids, n, window)
  local pair, row, col, total = {}, {}, {}, 0
  for t, i in ipairs(ids) do
    for s = 1, window do
      local j = ids[t + s]
      if not j then break end
      local at = (i - 1) * n + j
      pair[at] = (pair[at] or 0) + 1 / s
      row[i] = (row[i] or 0) + 1 / s
      col[j] = (col[j] or 0) + 1 / s
      total = total + 1 / s
    end
  end
  local P = fv.zeros(n * n)
  for at, c in pairs(pair) do
    local i, j = (at - 1) // n + 1, (at - 1) % n + 1
    local pmi = math.log(c * total / (row[i] * col[j]))
    if pmi > 0 then P:set(at, pmi) end
  end
  return P:reshape(n, n)
end

--- Rank-d factors of P: queries (n,d) and keys (n,d) with Q K' ~ P.
function words.factors(P, d, stream)
  local n = P:size(1)
  local Y = P:matmul(stream:normal(n, math.min(n, d + 16)))
  for _ = 1, 4 do
    Y = P:matmul(P:t():matmul((fv.qr(Y))))
  end
  local Z = fv.qr(Y)
  local U, s, Vt = fv.svd(Z:t():matmul(P))
  local root = s:slice(1, 1, d):sqrt()
  return Z:matmul(U):slice(2, 1, d) * root, Vt:slice(1, 1, d):t() * root
end

return words
