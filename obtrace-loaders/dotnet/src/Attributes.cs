using System;
using System.Collections.Generic;
using System.Globalization;

namespace Obtrace.Zero
{
    /// <summary>Keys and values of an item. Values are turned into strings, numbers and booleans at once, on the thread that has
    /// them: an application's object may change or die later.</summary>
    internal sealed class Attributes
    {
        public const int Most = 128;
        public const int LongestText = 4096;
        public const int LongestStack = 16384;
        private const int LongestArray = 64;

        public readonly List<KeyValuePair<string, object>> Pairs = new List<KeyValuePair<string, object>>(12);

        /// <summary>Adds an attribute. Nothing is added for null, and nothing beyond the bound.</summary>
        public Attributes Add(string key, object value)
        {
            object plain = string.IsNullOrEmpty(key) || Pairs.Count >= Most ? null : Plain(value, LongestText);
            if (plain != null)
            {
                Pairs.Add(new KeyValuePair<string, object>(key, plain));
            }
            return this;
        }

        public Attributes AddStack(string text)
        {
            if (text != null && Pairs.Count < Most)
            {
                Pairs.Add(new KeyValuePair<string, object>("exception.stacktrace", Cut(text, LongestStack)));
            }
            return this;
        }

        /// <summary>At most so many characters, never half of a pair of surrogates.</summary>
        public static string Cut(string text, int most)
        {
            if (text.Length <= most)
            {
                return text;
            }
            return text.Substring(0, char.IsHighSurrogate(text[most - 1]) ? most - 1 : most);
        }

        private static object Plain(object value, int longest)
        {
            if (value == null || value is bool)
            {
                return value;
            }
            var text = value as string;
            if (text != null)
            {
                return Cut(text, longest);
            }
            if (value is int || value is long || value is short || value is byte || value is uint || value is ushort || value is sbyte)
            {
                return Convert.ToInt64(value, CultureInfo.InvariantCulture);
            }
            if (value is double || value is float)
            {
                double number = Convert.ToDouble(value, CultureInfo.InvariantCulture);
                return double.IsNaN(number) || double.IsInfinity(number) ? (object)number.ToString(CultureInfo.InvariantCulture) : number;
            }
            var array = value as Array;
            if (array != null && array.Rank == 1)
            {
                var items = new List<object>();
                foreach (object item in array)
                {
                    if (items.Count < LongestArray && item != null)
                    {
                        items.Add(item is Array ? item.GetType().FullName : Plain(item, longest));
                    }
                }
                return items;
            }
            return Cut(TextOf(value) ?? "", longest);
        }

        /// <summary>An object's text. The code that writes it is the application's: where it throws, the type has to do.</summary>
        public static string TextOf(object value)
        {
            try
            {
                return Convert.ToString(value, CultureInfo.InvariantCulture);
            }
            catch (Exception)
            {
                return value.GetType().FullName;
            }
        }
    }
}
