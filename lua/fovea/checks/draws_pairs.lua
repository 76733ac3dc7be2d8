--- E exp((w_1 + w_2).z) against the law of two rows of a block

return {
  name = "draws_pairs",
  doc = "Pairs of rows of a block have the covariance of their law.\n"
     .. "E exp((w_i + w_j).z), |z| = 1, is e for independent rows, 1F1(d; d/2; 1/2) for orthogonal rows\n"
     .. "of chi norms, a quadrature for simplex rows. figure: distance in standard errors.",
  kinds = "sampler",
  build = function()
    return {
      applies = function(s)
        if s.opt.d < 2 then return false, "d is 1" end
        return s.law ~= nil, "no closed form for the law of its pairs"
      end,
      test = function(s)
        local d, W = s.opt.d, s:all()
        local rows = math.min(d, W:size(2))
        local e = W:slice(2, 1, rows):slice(3, 1, 1):squeeze(3):exp()        -- z = e_1
        local pair = (e:sum(2) ^ 2 - (e ^ 2):sum(2)) / (rows * (rows - 1))
        local want = math.exp(s.law.pair(1, 1))
        local mean, se = pair:mean():item(), math.sqrt(pair:var():item() / W:size(1))
        return { figure = math.abs(mean - want) / se, bound = 4.5,
                 note = ("%.4g for %.4g"):format(mean, want) }
      end
    }
  end
}
