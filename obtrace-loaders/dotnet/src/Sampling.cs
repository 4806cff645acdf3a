using System;
using System.Globalization;

namespace Obtrace.Zero
{
    /// <summary>Whether a trace that begins here is kept: the last 56 bits of its id against ratio x 2^56.</summary>
    internal sealed class Sampling
    {
        private const ulong Whole = 1UL << 56;
        private readonly ulong limit;

        public Sampling(double ratio)
        {
            limit = (ulong)Math.Ceiling(ratio * Whole);
        }

        public bool Keeps(string traceId)
        {
            if (limit == Whole)
            {
                return true;
            }
            ulong number;
            return traceId != null && traceId.Length == 32
                && ulong.TryParse(traceId.Substring(18), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out number)
                && number < limit;
        }
    }
}
