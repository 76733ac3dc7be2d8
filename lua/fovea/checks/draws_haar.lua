--- E q^4 = 3 / (d (d + 2)) for entries of unit rows

return {
  name = "draws_haar",
  doc = "Directions of the rows of a sampler are uniform on the sphere.\n"
     .. "Entries of w/|w| have E q^4 = 3/(d(d+2)), and E q_1i q_2j q_1j q_2i = -1/((d-1)d(d+2)) where\n"
     .. "rows are orthogonal. A short walk of rotations fails here. figure: the larger distance in\n"
     .. "standard errors.",
  kinds = "sampler",
  build = function()
    return {
      applies = function(s) return s.caps.unbiased == true, "its caps do not say unbiased" end,
      test = function(s)
        local d, W = s.opt.d, s:all()
        local q = W / W:square():sum(-1):sqrt():unsqueeze(-1)
        local N = q:size(1)
        local x = (q ^ 4):mean(-1):mean(-1)
        local want = 3 / (d * (d + 2))
        local z = math.abs(x:mean():item() - want) / (math.sqrt(x:var():item() / N) + 1e-15)
        local note = ("E q^4 d(d+2)/3 = %.4g"):format(x:mean():item() / want)
        if s.caps.orthogonal and d > 1 and s.opt.rows > 1 then
          local a, b = q:slice(2, 1, 1):squeeze(2), q:slice(2, 2, 2):squeeze(2)
          -- sum over i ~= j of q_1i q_2i q_1j q_2j = (q_1.q_2)^2 - sum_i q_1i^2 q_2i^2
          local p = a * b
          local mixed = (p:sum(-1) ^ 2 - (p ^ 2):sum(-1)) / (d * (d - 1))
          local aim = -1 / ((d - 1) * d * (d + 2))
          local other = math.abs(mixed:mean():item() - aim) / math.sqrt(mixed:var():item() / N)
          if other > z then
            z, note = other, ("mixed moment %.4g for %.4g"):format(mixed:mean():item(), aim)
          end
        end
        return { figure = z, bound = 4.5, note = note }
      end
    }
  end
}
