/* The passes of one optimizer, for each kind of record that it may have: to be included by the file
   of a rule, as often as there are rules. A rule is a function

       <RULE>_step(model, settings, lanes, g)

   that takes LANES coefficients, as they are after step t - 1, one step further with the gradients g,
   and leaves what records hold. Before inclusion define RULE, its name, and of the following what
   is true of it:

   RULE_STEP(m, h, c, g, charged)  in place of <RULE>_step, if it charges the penalty itself
   RULE_HAS_SECOND          there is a second moment
   RULE_AGES                moments decay by a power of the idle time, unless masked
   RULE_WEIGHT_IS_DERIVED   records hold no weight, as moments and time tell it; nor are they charged
   RULE_METRIC_IS_FIRST     the first moment is the inverse metric of the charge
   RULE_METRIC_IS_STORED    records hold the inverse metric, if there is a penalty; else it is 1
   RULE_REFRESH, RULE_SETTLE  functions of (model, settings, lanes): the weight after step t from
                            what a record holds, all decayed and charged, and the inverse
   RULE_SIZE(c)             the largest size of moments that might overflow

   The result is <RULE>_passes(penalised, aged, several). */

#include "model.h"

#ifndef RULE_STEP
#define RULE_STEP(m, h, c, g, charged) SKA_JOIN(RULE, step)(m, h, c, g)
#endif
#ifdef RULE_WEIGHT_IS_DERIVED
#define HAS_WEIGHT 0
#else
#define HAS_WEIGHT 1
#endif
#ifdef RULE_HAS_SECOND
#define HAS_SECOND 1
#else
#define HAS_SECOND 0
#endif

#define PENALISED 0
#define AGED 0
#include "kind.h"
#undef AGED
#ifdef RULE_AGES
#define AGED 1
#include "kind.h"
#undef AGED
#endif
#undef PENALISED
#ifndef RULE_WEIGHT_IS_DERIVED
#define PENALISED 1
#define AGED 0
#include "kind.h"
#undef AGED
#ifdef RULE_AGES
#define AGED 1
#include "kind.h"
#undef AGED
#endif
#undef PENALISED
#endif

static const ska_passes *SKA_JOIN(RULE, passes)(int penalised, int aged, int several) {
#ifndef RULE_WEIGHT_IS_DERIVED
#ifdef RULE_AGES
    if (penalised && aged)
        return &SKA_NAME(RULE, passes, 1, 1)[several];
#endif
    if (penalised)
        return &SKA_NAME(RULE, passes, 1, 0)[several];
#endif
#ifdef RULE_AGES
    if (aged)
        return &SKA_NAME(RULE, passes, 0, 1)[several];
#endif
    (void)penalised;
    (void)aged;
    return &SKA_NAME(RULE, passes, 0, 0)[several];
}

#undef RULE
#undef RULE_STEP
#undef RULE_HAS_SECOND
#undef RULE_AGES
#undef RULE_WEIGHT_IS_DERIVED
#undef RULE_METRIC_IS_FIRST
#undef RULE_METRIC_IS_STORED
#undef RULE_REFRESH
#undef RULE_SETTLE
#undef RULE_SIZE
#undef HAS_WEIGHT
#undef HAS_SECOND
