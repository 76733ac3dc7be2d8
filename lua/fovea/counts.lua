-- What counts over the training split know of the next token, or of a masked one.

--- Counts: one[id], two[id before][id], and how many tokens.
local function count(data)
  local one, two, n = {}, {}, 0
  for _, run in ipairs(data.runs.train) do
    local ids, before = run.get(1, run.n), nil
    for _, x in ipairs(ids) do
      one[x], n = (one[x] or 0) + 1, n + 1
      if before then
        local row = two[before] or {}
        two[before] = row
        row[x] = (row[x] or 0) + 1
      end
      before = x
    end
  end
  return one, two, n
end

--- Mean losses over the labels (those not -100) of 'batches', an iterator of ids and labels:
--- { uniform = log V, unigram = of (c + 1) / (n + V), bigram = of (c_ab + unigram_b) / (c_a + 1) },
--- the last where labels are the next tokens.
return function(data, batches, next_token)
  local one, two, n = count(data)
  local V, sums, asked = data.vocab, { uniform = 0, unigram = 0, bigram = next_token and 0 or nil }, 0
  for ids, labels in batches do
    ids, labels = ids:reshape(-1):totable(), labels:reshape(-1):totable()
    for j, y in ipairs(labels) do
      if y ~= -100 then
        local p, row = ((one[y] or 0) + 1) / (n + V), two[ids[j]] or {}
        sums.uniform, sums.unigram = sums.uniform + math.log(V), sums.unigram - math.log(p)
        if next_token then
          sums.bigram = sums.bigram - math.log(((row[y] or 0) + p) / ((one[ids[j]] or 0) + 1))
        end
        asked = asked + 1
      end
    end
  end
  for name, sum in pairs(sums) do sums[name] = sum / asked end
  return sums
end
