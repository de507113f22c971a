# Makes limma.json, what tests/test_statistics.py compares with:  Rscript limma.R > limma.json
# Made with R 4.2.2 and limma 3.54.1 (Debian 12's r-base and r-bioc-limma).
library(limma)
numbers <- function(x) paste0("[", paste(format(x, digits = 17, trim = TRUE, scientific = TRUE), collapse = ", "), "]")
set.seed(42)
n <- 40
df <- 5
sizes <- round(seq(-6, 1, length.out = n) + 0.3 * sin(1:n), 6)
variances <- signif(exp(-4 - 0.5 * sizes) * (6 / rchisq(n, 6)) * rchisq(n, df) / df, 8)
effects <- signif(rnorm(n, 0, 0.05), 8)
effects[c(5, 20, 33)] <- c(0.9, -0.7, 0.4)
fit <- new("MArrayLM", list(
  coefficients = matrix(effects), stdev.unscaled = matrix(rep(sqrt(1 / 6), n)), sigma = sqrt(variances),
  df.residual = rep(df, n), Amean = sizes
))
prior <- fitFDist(variances, df1 = df)
trended <- fitFDist(variances, df1 = df, covariate = sizes)
moderated <- eBayes(fit)
treated <- treat(fit, lfc = log2(1.05))
trigamma <- c(1e-8, 0.01, 0.5, 1, 5, 100, 1e8)
out <- list(
  sizes = sizes, variances = variances, effects = effects, trigamma = trigamma,
  trigamma_inverse = trigammaInverse(trigamma), prior = c(prior$scale, prior$df2),
  trend_prior_scale = trended$scale, trend_prior_df = trended$df2,
  shrunk = squeezeVar(variances, df = df)$var.post,
  trend_shrunk = squeezeVar(variances, df = df, covariate = sizes)$var.post,
  moderated_t = moderated$t[, 1], moderated_p = moderated$p.value[, 1], moderated_df = moderated$df.total[1],
  treat_p = treated$p.value[, 1], trend_treat_p = treat(fit, lfc = log2(1.05), trend = TRUE)$p.value[, 1],
  treat_q = p.adjust(treated$p.value[, 1], "BH")
)
lines <- sprintf('  "%s": %s', names(out), sapply(out, numbers))
cat("{\n", paste(lines, collapse = ",\n"), "\n}\n", sep = "")
