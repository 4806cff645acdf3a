using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace Obtrace.Zero
{
    /// <summary>
    /// JSON as OTLP wants it (64-bit integers are strings), written as UTF-8 into an array that is used again. A batch is hundreds of kilobytes:
    /// a new array for each would make the runtime collect the application's whole heap, generation 2, every few batches.
    /// </summary>
    internal sealed class Json
    {
        /// <summary>The longest that one character becomes: `\u0001`.</summary>
        private const int LongestCharacter = 6;
        private const int LongestNumber = 20;
        private const int MostKept = 1024 * 1024;

        private byte[] bytes;
        private int count;

        public Json(int size)
        {
            bytes = new byte[size];
        }

        public byte[] Bytes
        {
            get { return bytes; }
        }

        public int Count
        {
            get { return count; }
        }

        /// <summary>Empty again. An array that an unusual batch has made large is given back.</summary>
        public void Clear()
        {
            count = 0;
            if (bytes.Length > MostKept)
            {
                bytes = new byte[4096];
            }
        }

        public byte[] ToArray()
        {
            var copy = new byte[count];
            Buffer.BlockCopy(bytes, 0, copy, 0, count);
            return copy;
        }

        private void Need(int more)
        {
            if (bytes.Length - count < more)
            {
                Array.Resize(ref bytes, Math.Max(2 * bytes.Length, count + more));
            }
        }

        /// <summary>JSON that is written already; ASCII.</summary>
        public Json Raw(string ascii)
        {
            Need(ascii.Length);
            for (int i = 0; i < ascii.Length; i++)
            {
                bytes[count++] = (byte)ascii[i];
            }
            return this;
        }

        public Json Raw(char ascii)
        {
            Need(1);
            bytes[count++] = (byte)ascii;
            return this;
        }

        public Json Raw(byte[] written)
        {
            Need(written.Length);
            Buffer.BlockCopy(written, 0, bytes, count, written.Length);
            count += written.Length;
            return this;
        }

        public Json Text(string text)
        {
            Need(text.Length * LongestCharacter + 2);
            bytes[count++] = (byte)'"';
            for (int i = 0; i < text.Length; i++)
            {
                char c = text[i];
                if (c > 127)
                {
                    int from = i;
                    while (i + 1 < text.Length && text[i + 1] > 127)
                    {
                        i++;
                    }
                    // Half of a pair of surrogates becomes U+FFFD.
                    count += Encoding.UTF8.GetBytes(text, from, i + 1 - from, bytes, count);
                }
                else if (c >= ' ' && c != '"' && c != '\\')
                {
                    bytes[count++] = (byte)c;
                }
                else if (c < ' ')
                {
                    Raw("\\u").Raw(((int)c).ToString("x4", CultureInfo.InvariantCulture));
                }
                else
                {
                    bytes[count++] = (byte)'\\';
                    bytes[count++] = (byte)c;
                }
            }
            return Raw('"');
        }

        public Json Key(string name)
        {
            return Raw('"').Raw(name).Raw("\":");
        }

        public Json Number(long number)
        {
            Need(LongestNumber);
            ulong left = number < 0 ? (ulong)-(number + 1) + 1 : (ulong)number;
            if (number < 0)
            {
                bytes[count++] = (byte)'-';
            }
            int digits = 1;
            for (ulong rest = left / 10; rest > 0; rest /= 10)
            {
                digits++;
            }
            for (int at = count + digits - 1; at >= count; at--)
            {
                bytes[at] = (byte)('0' + left % 10);
                left /= 10;
            }
            count += digits;
            return this;
        }

        /// <summary>A 64-bit integer as a string.</summary>
        public Json Long(long number)
        {
            return Raw('"').Number(number).Raw('"');
        }

        public Json Double(double number)
        {
            return Raw(number.ToString("R", CultureInfo.InvariantCulture));
        }

        /// <summary>`"attributes":[...]`.</summary>
        public Json Pairs(Attributes attributes)
        {
            Raw("\"attributes\":[");
            bool first = true;
            foreach (var pair in attributes.Pairs)
            {
                Raw(first ? "{\"key\":" : ",{\"key\":");
                first = false;
                Text(pair.Key).Raw(",\"value\":").Value(pair.Value).Raw('}');
            }
            return Raw(']');
        }

        private Json Value(object value)
        {
            var text = value as string;
            if (text != null)
            {
                return Raw("{\"stringValue\":").Text(text).Raw('}');
            }
            if (value is long)
            {
                return Raw("{\"intValue\":").Long((long)value).Raw('}');
            }
            if (value is bool)
            {
                return Raw((bool)value ? "{\"boolValue\":true}" : "{\"boolValue\":false}");
            }
            if (value is double)
            {
                return Raw("{\"doubleValue\":").Double((double)value).Raw('}');
            }
            Raw("{\"arrayValue\":{\"values\":[");
            bool first = true;
            foreach (object item in (List<object>)value)
            {
                (first ? this : Raw(',')).Value(item);
                first = false;
            }
            return Raw("]}}");
        }
    }
}
